import { describe, expect, test } from "bun:test"
import { flagNames, parseServeOptions, serveHelp, UsageError, variableOf } from "./flags.ts"

describe("parseServeOptions", () => {
  test("a flag wins over its variable, a variable over the default", () => {
    expect(parseServeOptions([], {}).port).toBe(8000)
    expect(parseServeOptions([], { DS4_PORT: "81" }).port).toBe(81)
    expect(parseServeOptions(["--port=0"], { DS4_PORT: "81" }).port).toBe(0)
    expect(parseServeOptions(["-p", "82"], {}).port).toBe(82)
  })

  test("sizes take k and m, lists repeat, switches need no value", () => {
    const options = parseServeOptions(
      ["-c", "64k", "--cors-origin", "https://a", "--cors-origin=https://b,https://c", "--cors"],
      {},
    )
    expect(options.ctx).toBe(65_536)
    expect(options["cors-origin"]).toEqual(["https://a", "https://b", "https://c"])
    expect(options.cors).toBe(true)
    expect(options.quiet).toBe(false)
    expect(options.model).toBeUndefined()
  })

  const refused: [string[], Record<string, string>, string][] = [
    [["--nonsense"], {}, "unknown argument"],
    [["--port", "99999"], {}, "from 0 to 65535"],
    [["--port"], {}, "needs a value"],
    [["--numerics", "fuzzy"], {}, "expected one of fast, trained, plain"],
    [[], { DS4_CTX: "many" }, "DS4_CTX"],
    [["--cors=perhaps"], {}, "expected 1 or 0"],
    [["model.gguf"], {}, "unknown argument"],
    [["--api-key="], {}, "is empty"],
  ]
  test.each(refused)("refuses %j with %j", (argv, environment, words) => {
    expect(() => parseServeOptions(argv, environment)).toThrow(UsageError)
    expect(() => parseServeOptions(argv, environment)).toThrow(words)
  })

  test("every flag is in the help text, and its variable follows its name", () => {
    for (const name of flagNames()) expect(serveHelp()).toContain(`--${name}`)
    expect(variableOf("max-queue")).toBe("DS4_MAX_QUEUE")
  })
})
