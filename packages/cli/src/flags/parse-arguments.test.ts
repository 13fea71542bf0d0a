import { describe, expect, test } from "bun:test"
import { spelledFlags } from "../command.ts"
import { COMMANDS } from "../commands/index.ts"
import { CliError } from "../errors.ts"
import { effectiveValue, effectiveValues } from "./effective-values.ts"
import { editDistance, nearestName } from "./nearest.ts"
import { impliedCommand } from "./old-spellings.ts"
import { parseArguments } from "./parse-arguments.ts"
import { FLAGS, isFlagName, specOf, variableOf } from "./registry.ts"

const find = (name: string) => COMMANDS.find((command) => command.name === name) ?? COMMANDS[0]
const parse = (command: string, ...args: string[]) => {
  const found = find(command)
  if (found === undefined) throw new Error("no commands")
  const { values, positionals, notes } = parseArguments(args, spelledFlags(found))
  return { ...Object.fromEntries(values), positionals, notes }
}
const failure = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(CliError)
    return error instanceof CliError && error.exitCode === 2
      ? error.message
      : `exit code of ${String(error)}`
  }
  return "no error"
}

describe("arguments", () => {
  test("values follow their flag or an equals sign; sizes have units; lists collect", () => {
    expect(
      parse(
        "run",
        "-n",
        "4k",
        "--ctx=1m",
        "--temp",
        "0.5",
        "--stop",
        "a",
        "--stop=b",
        "hello",
        "--",
        "--not-a-flag",
      ),
    ).toMatchObject({
      "max-tokens": 4096,
      ctx: 1_048_576,
      temp: 0.5,
      stop: ["a", "b"],
      positionals: ["hello", "--not-a-flag"],
    })
  })

  test("--think stands alone or takes a level after an equals sign", () => {
    expect(parse("run", "--think", "hello")).toMatchObject({
      think: "high",
      positionals: ["hello"],
    })
    expect(parse("run", "--think=max")).toMatchObject({ think: "max" })
  })

  test("old spellings keep working", () => {
    expect(
      parse("run", "-sys", "be brief", "--nothink", "--tokens", "9", "--quality", "--cpu"),
    ).toMatchObject({
      system: "be brief",
      think: "off",
      "max-tokens": 9,
      numerics: "trained",
      backend: "cpu",
    })
    expect(parse("run", "--think-max")).toMatchObject({ think: "max" })
    expect(parse("run", "--think-level", "low", "text")).toMatchObject({
      think: "low",
      positionals: ["text"],
    })
    expect(parse("run", "--prompt-file", "x", "--no-think")).toMatchObject({
      file: "x",
      think: "off",
    })
    expect(parse("logits", "--logprobs-top-k", "7")).toMatchObject({ "top-k": 7 })
    expect(parse("run", "--mtp", "file", "--warm-weights", "hi")).toMatchObject({
      positionals: ["hi"],
      notes: [expect.stringContaining("--mtp"), expect.stringContaining("--warm-weights")],
    })
  })

  test("flags without a command mean what the old program meant", () => {
    expect(impliedCommand(["-p", "hello"])).toBe("run")
    expect(impliedCommand(["--prompt-file=x"])).toBe("run")
    expect(impliedCommand(["-m", "x", "--inspect"])).toBe("inspect")
    expect(impliedCommand(["--dump-tokens", "-p", "x"])).toBe("tokenize")
    expect(impliedCommand(["-m", "x"])).toBeUndefined()
  })

  test("mistakes name the nearest flag, the range or the choices", () => {
    expect(failure(() => parse("run", "--tmep", "1"))).toBe(
      "unknown flag --tmep; did you mean --temp?",
    )
    expect(failure(() => parse("version", "--temp", "1"))).toBe(
      "unknown flag --temp; this command does not take it",
    )
    expect(failure(() => parse("run", "--top-p", "1.5"))).toBe(
      '--top-p is "1.5"; expected a number from 0 to 1',
    )
    expect(failure(() => parse("run", "--max-tokens", "-3"))).toBe(
      '--max-tokens is "-3"; expected a whole number of at least 1',
    )
    expect(failure(() => parse("run", "--numerics", "exact"))).toBe(
      '--numerics is "exact"; expected one of fast, trained, plain',
    )
    expect(failure(() => parse("run", "--temp"))).toBe("--temp needs a value: --temp T")
    expect(failure(() => parse("run", "--seed", ""))).toContain("expected a whole number")
  })

  test("a flag may carry another name in one command", () => {
    expect(parse("logits", "--raw", "out.f32")).toMatchObject({ "raw-logits": "out.f32" })
    expect(parse("run", "--raw")).toMatchObject({ raw: true })
  })
})

describe("precedence", () => {
  const sources = {
    flags: new Map([["temp", 0.1]] as const),
    environment: { DS4_TEMP: "0.2", DS4_TOP_P: "0.3", DS4_JSON: "1", DS4_STOP: "" },
    file: {
      path: "ds4.toml",
      values: { temp: 0.4, "top-p": 0.5, "min-p": 0.25, stop: ["x"], ctx: "64k" },
    },
  }

  test("flag over environment over file over default, each with its origin", () => {
    expect(
      effectiveValues(["temp", "top-p", "min-p", "top-k", "json", "stop", "ctx", "plain"], sources),
    ).toEqual({
      temp: 0.1,
      "top-p": 0.3,
      "min-p": 0.25,
      "top-k": 0,
      json: true,
      stop: ["x"],
      ctx: 65_536,
      plain: false,
    })
    expect(effectiveValue("top-p", sources)).toMatchObject({
      origin: "environment",
      source: "DS4_TOP_P",
    })
    expect(effectiveValue("min-p", sources)).toMatchObject({ origin: "file", source: "ds4.toml" })
    expect(effectiveValue("top-k", sources).origin).toBe("default")
  })

  test("a bad variable stops and is named", () => {
    expect(
      failure(() =>
        effectiveValue("temp", { ...sources, flags: new Map(), environment: { DS4_TEMP: "warm" } }),
      ),
    ).toBe('DS4_TEMP is "warm"; expected a number from 0 to 100')
  })
})

describe("registry", () => {
  const names = Object.keys(FLAGS).filter(isFlagName)

  test("every flag belongs to a command, defaults satisfy their own rules", () => {
    const used = new Set(COMMANDS.flatMap((command) => command.flags))
    expect(names.filter((name) => !used.has(name))).toEqual([])
    for (const name of names) {
      const spec = specOf(name)
      if (spec.choices !== undefined && spec.default !== undefined)
        expect(spec.choices).toContain(String(spec.default))
    }
  })

  test("no command has two flags with one short form, no two flags share a variable", () => {
    for (const command of COMMANDS) {
      const shorts = command.flags
        .map((name) => specOf(name).short)
        .filter((short) => short !== undefined)
      expect(shorts).toEqual([...new Set(shorts)])
    }
    expect(new Set(names.map(variableOf)).size).toBe(names.length)
  })
})

test("distances count a swap once; far words have no nearest", () => {
  expect(editDistance("tmep", "temp")).toBe(1)
  expect(editDistance("", "abc")).toBe(3)
  expect(nearestName("srve", ["serve", "run"])).toBe("serve")
  expect(nearestName("xyzzy", ["serve", "run"])).toBeUndefined()
})
