import { describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { defaultConfigPath, parseConfig, readConfigFile } from "./config-file.ts"
import type { RawValue } from "./option-spec.ts"
import { failure } from "./testing/failure.ts"

const read = (...lines: string[]) => parseConfig("ds4.toml", lines.join("\n"))

describe("ds4.toml", () => {
  test("holds options of any command under their own names", () => {
    const { values } = read(
      "port = 9000",
      "temp = 1",
      'ctx = "64k"',
      "max-tokens = 400",
      'stop = ["a", "b"]',
      'allow-host = "one, two"',
      "quiet = true",
      'think = "low"',
      'system = """',
      "port = 1",
      '"""',
    )
    expect(Object.fromEntries(values)).toEqual({
      port: 9000,
      temp: 1,
      ctx: 65_536,
      "max-tokens": 400,
      stop: ["a", "b"],
      "allow-host": ["one", "two"],
      quiet: true,
      think: "low",
      system: "port = 1\n",
    })
  })

  const written: [string, RawValue][] = [
    ["port = '9000'", 9000],
    ["temp = '0.5'", 0.5],
    ["threads = 2", 2],
    ["quiet = 1", true],
    ["quiet = 'off'", false],
    ["system = 5", "5"],
    ["host = 5", "5"],
    ["stop = [1, 'b']", ["1", "b"]],
    ["stop = 'a,b'", ["a,b"]],
    ["allow-host = ['one, two', 'three']", ["one", "two", "three"]],
  ]
  test.each(written)("%s means what it means in a variable", (line, value) => {
    expect([...read(line).values.values()]).toEqual([value])
  })

  const faults: [string[], string][] = [
    [["# settings", "tmep = 1"], 'ds4.toml:2: unknown key "tmep"; did you mean "temp"?'],
    [["max_tokens = 1"], 'ds4.toml:1: unknown key "max_tokens"; did you mean "max-tokens"?'],
    [["xyzzyxyzzy = 1"], 'ds4.toml:1: unknown key "xyzzyxyzzy"; ds4 config lists all keys'],
    [["config = 'x'"], 'ds4.toml:1: unknown key "config"'],
    [["help = true"], 'ds4.toml:1: unknown key "help"'],
    [["", "port = 'high'"], 'ds4.toml:2: port is "high"; expected a whole number from 0 to 65535'],
    [["port = 70000"], 'ds4.toml:1: port is "70000"; expected a whole number from 0 to 65535'],
    [["temp = true"], 'ds4.toml:1: temp is "true"; expected a number from 0 to 100'],
    [["top-k = 1.5"], 'ds4.toml:1: top-k is "1.5"; expected a whole number from 0 to 248320'],
    [["quiet = 2"], 'ds4.toml:1: quiet is "2"; expected 1 or 0'],
    [["host = ''"], "ds4.toml:1: host is empty; expected ADDRESS"],
    [["model = ['a']"], 'ds4.toml:1: model is ["a"]; expected a path'],
    [["stop = [[1]]"], "ds4.toml:1: stop is [[1]]; expected a list of texts"],
    [["ctx = '64x'"], 'ds4.toml:1: ctx is "64x"; expected a whole number from 1 to 1048576'],
    [["think = 'loud'"], 'ds4.toml:1: think is "loud"; expected one of off, low, high, max'],
    [["temp = 1", "[server]", "port = 1"], "ds4.toml:2: unknown section [server]; keys stand"],
    [["port.a = 1"], "ds4.toml:1: port is a section; expected a whole number"],
    [["temp = 1", "port = = 1"], "ds4.toml:2 is not valid TOML: "],
  ]
  test.each(faults)("%j is refused with file, line and key", (lines, message) => {
    expect(failure(() => read(...lines))).toStartWith(message)
  })
})

test("the named file must exist, the default one need not", () => {
  const folder = mkdtempSync(join(tmpdir(), "ds4-options-"))
  try {
    const environment = { XDG_CONFIG_HOME: folder }
    expect(defaultConfigPath(environment)).toBe(join(folder, "ds4/ds4.toml"))
    expect(defaultConfigPath({ HOME: folder })).toBe(join(folder, ".config/ds4/ds4.toml"))
    expect(readConfigFile(undefined, environment)).toBeUndefined()
    const named = join(folder, "named.toml")
    expect(failure(() => readConfigFile(named, environment))).toBe(
      `there is no configuration file ${named}`,
    )
    writeFileSync(named, "port = 1\n")
    expect(readConfigFile(named, environment)?.values.get("port")).toBe(1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
