import { describe, expect, test } from "bun:test"
import { COMMAND_NAMES, type CommandName } from "./command-name.ts"
import type { OptionSpec, RawValue } from "./option-spec.ts"
import { impliedCommand } from "./old-spellings.ts"
import { specOf, spelledOptions } from "./option-table.ts"
import { parseArguments } from "./parse-arguments.ts"
import { failure } from "./testing/failure.ts"
import { seededRandom, shuffled } from "./testing/random.ts"

const parse = (command: CommandName, ...args: string[]) => {
  const { values, positionals, notes } = parseArguments(args, command)
  return { ...Object.fromEntries(values), positionals, notes }
}

describe("arguments", () => {
  test("values follow their flag or an equals sign; sizes have units; lists collect", () => {
    const args = "-n 4k --ctx=1m --temp 0.5 --stop a --stop=b hello -- --not-a-flag".split(" ")
    expect(parse("run", ...args)).toMatchObject({
      "max-tokens": 4096,
      ctx: 1_048_576,
      temp: 0.5,
      stop: ["a", "b"],
      positionals: ["hello", "--not-a-flag"],
    })
    expect(parse("serve", "--max-body", "1g")).toMatchObject({ "max-body": 1_073_741_824 })
  })

  test("a list with a separator takes several items at once, one without takes texts whole", () => {
    const origins = ["--cors-origin", "https://a, https://b", "--cors-origin=https://c"]
    expect(parse("serve", ...origins)).toMatchObject({
      "cors-origin": ["https://a", "https://b", "https://c"],
    })
    expect(parse("run", "--stop", "a, b")).toMatchObject({ stop: ["a, b"] })
  })

  test("--think stands alone or takes a level after an equals sign", () => {
    expect(parse("run", "--think", "hello")).toMatchObject({
      think: "high",
      positionals: ["hello"],
    })
    expect(parse("run", "--think=max")).toMatchObject({ think: "max" })
  })

  test("a flag may have another spelling in one command", () => {
    expect(parse("logits", "--raw", "out.f32")).toMatchObject({ "raw-logits": "out.f32" })
    expect(parse("run", "--raw")).toMatchObject({ raw: true })
    expect(parse("bench", "--suite", "decode")).toMatchObject({ "bench-suite": ["decode"] })
    expect(parse("eval", "--suite", "demo")).toMatchObject({ suite: "demo" })
  })

  test("one letter may mean another option in another command", () => {
    expect(parse("serve", "-p", "9000")).toMatchObject({ port: 9000 })
    expect(parse("run", "-p", "hello")).toMatchObject({ prompt: "hello" })
  })
})

describe("old spellings", () => {
  test("keep working where the command has the option", () => {
    const old = ["-sys", "be brief", "--nothink", "--tokens", "9", "--quality", "--cpu"]
    expect(parse("run", ...old)).toMatchObject({
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
    expect(parse("serve", "--no-think")).toMatchObject({ "no-think": true })
    expect(parse("logits", "--logprobs-top-k", "7")).toMatchObject({ "top-k": 7 })
    expect(parse("bench", "--room", "peer")).toMatchObject({ "bench-suite": ["peer"] })
  })

  test("retired flags are ignored with their value and a note", () => {
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
})

describe("mistakes", () => {
  const mistakes: [CommandName, string[], string][] = [
    ["run", ["--tmep", "1"], "unknown flag --tmep; did you mean --temp?"],
    ["serve", ["--prot", "1"], "unknown flag --prot; did you mean --port?"],
    ["version", ["--temp", "1"], "unknown flag --temp; this command does not take it"],
    ["run", ["-z"], "unknown flag -z"],
    ["run", ["--top-p", "1.5"], '--top-p is "1.5"; expected a number from 0 to 1'],
    ["run", ["--max-tokens", "-3"], '--max-tokens is "-3"; expected a whole number of at least 1'],
    ["serve", ["--port", "high"], '--port is "high"; expected a whole number from 0 to 65535'],
    ["run", ["--numerics", "exact"], '--numerics is "exact"; expected one of fast, trained, plain'],
    ["run", ["--temp"], "--temp needs a value: --temp T"],
    ["run", ["--seed", ""], `--seed is ""; expected a whole number from 0 to ${2 ** 53 - 1}`],
    ["serve", ["--host="], "--host is empty; expected ADDRESS"],
    ["run", ["--model="], "--model is empty; expected a path"],
    ["serve", ["--quiet=maybe"], '--quiet is "maybe"; expected 1 or 0'],
  ]
  test.each(mistakes)("ds4 %s %j", (command, args, message) => {
    expect(failure(() => parse(command, ...args))).toStartWith(message)
  })

  test("every misspelt flag of every command gets the nearest name", () => {
    for (const command of COMMAND_NAMES) {
      for (const spelled of [...spelledOptions(command).keys()].filter(
        ({ length }) => length > 4,
      )) {
        const typed = `--${spelled.slice(0, 2)}${spelled.slice(3)}`
        expect(failure(() => parse(command, typed))).toStartWith(
          `unknown flag ${typed}; did you mean --`,
        )
      }
    }
  })
})

/** A text that the option accepts, and the value that it means. */
function sample(spec: OptionSpec, random: () => number): { text: string; value: RawValue } {
  const pick = <T>(items: readonly T[], fallback: T) =>
    items[Math.floor(random() * items.length)] ?? fallback
  switch (spec.kind) {
    case "switch":
      return pick([{ text: "on", value: true }], { text: "off", value: false })
    case "choice": {
      const text = pick(spec.choices ?? [], "")
      return { text, value: text }
    }
    case "list": {
      const text =
        spec.choices === undefined ? `item ${Math.floor(random() * 9)}` : pick(spec.choices, "")
      return { text, value: [text] }
    }
    case "number": {
      const value = Math.min(spec.max ?? 1, Math.max(spec.min ?? 0, random()))
      return { text: String(value), value }
    }
    case "integer":
    case "size": {
      const value = (spec.min ?? 0) + Math.floor(random() * 50)
      return { text: String(value), value }
    }
    case "text":
    case "path":
      return { text: pick(["a b", "x=y", "-", "ü", "--"], "plain"), value: "" }
  }
}

test("any order, an equals sign or a space: the values are the same", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seededRandom(seed)
    const command = COMMAND_NAMES[seed % COMMAND_NAMES.length] ?? "run"
    const taken = shuffled([...spelledOptions(command)], random).slice(0, 1 + (seed % 7))
    const expected: Record<string, RawValue> = {}
    const groups = taken.map(([spelled, name]) => {
      const spec = specOf(name, command)
      const { text, value } = sample(spec, random)
      expected[name] = spec.kind === "text" || spec.kind === "path" ? text : value
      const standsAlone = spec.kind === "switch" || spec.bare !== undefined
      if (standsAlone || random() < 0.5) return [`--${spelled}=${text}`]
      const short = spec.short !== undefined && random() < 0.5
      return [short ? `-${spec.short}` : `--${spelled}`, text]
    })
    for (let round = 0; round < 3; round++) {
      const args = shuffled([...groups, ["word"]], random).flat()
      const parsed = parseArguments(args, command)
      expect({ seed, args, ...Object.fromEntries(parsed.values) }).toEqual({
        seed,
        args,
        ...expected,
      })
      expect(parsed.positionals).toEqual(["word"])
    }
  }
})
