import { describe, expect, test } from "bun:test"
import { parseConfig } from "./config-file.ts"
import { defaultOptions, effectiveOption, effectiveOptions } from "./effective-options.ts"
import type { RawValue } from "./option-spec.ts"
import type { OptionName } from "./option-table.ts"
import { failure } from "./testing/failure.ts"

const sources = {
  flags: new Map<OptionName, RawValue>([["temp", 0.1]]),
  environment: { DS4_TEMP: "0.2", DS4_TOP_P: "0.3", DS4_JSON: "1", DS4_STOP: "" },
  file: parseConfig(
    "ds4.toml",
    'temp = 0.4\ntop-p = 0.5\nmin-p = 0.25\nstop = ["x"]\nctx = "64k"\nport = 9000\n',
  ),
}

describe("precedence", () => {
  test("flag over variable over ds4.toml over default, each with its origin", () => {
    expect(effectiveOptions("run", sources)).toMatchObject({
      temp: 0.1,
      "top-p": 0.3,
      "min-p": 0.25,
      "top-k": 0,
      json: true,
      stop: ["x"],
      ctx: 65_536,
      plain: false,
    })
    expect(effectiveOption("temp", sources)).toEqual({
      value: 0.1,
      origin: "flag",
      source: "--temp",
    })
    expect(effectiveOption("top-p", sources)).toMatchObject({
      origin: "environment",
      source: "DS4_TOP_P",
    })
    expect(effectiveOption("min-p", sources)).toMatchObject({
      origin: "file",
      source: "ds4.toml:3",
    })
    expect(effectiveOption("top-k", sources).origin).toBe("default")
  })

  test("a command sees its own options only, with its own defaults", () => {
    expect(effectiveOptions("serve", sources)).toMatchObject({ port: 9000, "max-tokens": 393_216 })
    expect(effectiveOptions("run", sources)["max-tokens"]).toBeUndefined()
    expect(effectiveOptions("tokenize", sources)).not.toHaveProperty("port")
    expect(defaultOptions("serve").port).toBe(8000)
  })

  test("the types follow the table", () => {
    const serve = defaultOptions("serve")
    const limit: number = serve["max-tokens"]
    const effort: "low" | "high" | "max" | undefined = serve.effort
    const origins: readonly string[] = serve["cors-origin"]
    expect([limit, effort, origins]).toEqual([393_216, undefined, []])
  })

  test("a bad variable is named; one of another command does not matter", () => {
    const environment = { DS4_TEMP: "warm", DS4_PORT: "high" }
    const broken = { flags: new Map<OptionName, RawValue>(), environment, file: undefined }
    expect(failure(() => effectiveOption("temp", broken))).toBe(
      'DS4_TEMP is "warm"; expected a number from 0 to 100',
    )
    expect(effectiveOptions("tokenize", broken).model).toBeUndefined()
    expect(failure(() => effectiveOptions("serve", broken))).toStartWith('DS4_PORT is "high"')
  })

  test("an empty API key is refused by the server alone", () => {
    const file = parseConfig("ds4.toml", '\napi-key = ""\n')
    expect(failure(() => effectiveOptions("serve", { ...sources, file }))).toBe(
      "ds4.toml:2: api-key is empty; expected KEY",
    )
    expect(effectiveOptions("run", { ...sources, file })["api-key"]).toBe("")
  })
})
