import { describe, expect, test } from "bun:test"
import { COMMAND_NAMES } from "./command-name.ts"
import {
  OPTION_NAMES,
  OPTION_SUBJECTS,
  specOf,
  spelledOptions,
  variableOf,
} from "./option-table.ts"
import { readValue } from "./read-value.ts"

describe("the table", () => {
  test("has each option once, under one subject, with a command that takes it", () => {
    const bySubject = OPTION_SUBJECTS.flatMap(({ names }) => names)
    expect(bySubject).toEqual([...new Set(bySubject)])
    expect([...bySubject].sort()).toEqual([...OPTION_NAMES].sort())
    expect(OPTION_NAMES.filter((name) => specOf(name).commands.length === 0)).toEqual([])
  })

  test("gives every option a variable of its own", () => {
    expect(new Set(OPTION_NAMES.map(variableOf)).size).toBe(OPTION_NAMES.length)
    expect(variableOf("max-tokens")).toBe("DS4_MAX_TOKENS")
  })

  test("gives no command two options with one spelling or one letter", () => {
    for (const command of COMMAND_NAMES) {
      const options = spelledOptions(command)
      const taken = OPTION_NAMES.filter((name) => specOf(name).commands.includes(command))
      expect(options.size).toBe(taken.length)
      const letters = taken.flatMap((name) => specOf(name).short ?? [])
      expect(letters).toEqual([...new Set(letters)])
    }
  })

  test("has defaults that satisfy their own rules, and differences only of its commands", () => {
    for (const name of OPTION_NAMES) {
      const spec = specOf(name)
      for (const command of spec.commands) {
        const { default: value } = specOf(name, command)
        if (value !== undefined) expect(readValue(name, spec, String(value))).toBe(value)
      }
      const differing = COMMAND_NAMES.filter((command) => spec.perCommand?.[command] !== undefined)
      expect(spec.commands).toEqual(expect.arrayContaining(differing))
    }
  })
})
