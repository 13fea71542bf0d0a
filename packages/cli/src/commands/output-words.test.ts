// Every command on the demo model: outputs are for people, and --quiet leaves stderr empty.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { commandHelp } from "../help.ts"
import { machineWords } from "../testing/machine-words-found.ts"
import { Workplace } from "../testing/run-program.ts"
import { COMMANDS } from "./index.ts"

setDefaultTimeout(60_000) // cold starts of the engine on a loaded machine

let work: Workplace
beforeAll(() => {
  work = new Workplace()
  writeFileSync(work.path("ids.json"), "[0, 5, 9]")
  writeFileSync(work.path("in.jsonl"), '{"prompt":"Hello!"}\n')
  writeFileSync(work.path("ds4.toml"), 'stop = ["a"]\n')
})
afterAll(() => work[Symbol.dispose]())

interface Case {
  readonly args: readonly string[]
  readonly input?: string
  /** The output is data in a form of its own. */
  readonly isData?: boolean
}

const SMALL = ["--prompt-tokens", "16", "--gen-tokens", "4", "--repeats", "1"]
const CASES: readonly Case[] = [
  {
    args: ["chat", "-n", "4", "-c", "64k", "--think=off"],
    input: "Hello!\n/stats\n/set\n/tokens\n/list\n/help\n",
  },
  { args: ["run", "Hello!", "-n", "4", "-c", "64k", "--think=off"] },
  { args: ["run", "What is 2 + 3?", "--think", "-n", "40"] },
  { args: ["run", "--batch", "in.jsonl", "-o", "out.jsonl", "-n", "2", "--force"] },
  { args: ["tokenize", "hello"] },
  { args: ["detokenize", "5", "9"] },
  { args: ["render"], input: '[{"role":"user","content":"hi"}]', isData: true },
  { args: ["inspect"] },
  { args: ["inspect", "demo", "--tensors"], isData: true },
  { args: ["verify"] },
  {
    args: ["logits", "--ids", "ids.json", "--dump", "dump.safetensors", "--top-k", "3", "--force"],
  },
  { args: ["logits", "--compare", "trained"] },
  { args: ["logits", "--compare", "experts"] },
  { args: ["quantize", "demo", "new.gguf", "--force"] },
  { args: ["bench", ...SMALL, "-c", "64k"] },
  { args: ["eval", "fact"] },
  { args: ["doctor"] },
  { args: ["kv", "ls", "--json", "--kv-disk-dir", "states"], isData: true },
  { args: ["config"] },
  { args: ["config", "--config", "ds4.toml"] },
  { args: ["version"] },
  { args: ["completion", "bash"], isData: true },
]

const named = CASES.map((each) => [each.args.join(" "), each] as const)

describe("outputs", () => {
  test("the cases hold every command that ends by itself", () => {
    const covered = new Set(CASES.map(({ args: [name] }) => name))
    expect(COMMANDS.map(({ name }) => name).filter((name) => !covered.has(name))).toEqual(["serve"])
  })

  test.each(named)(
    "ds4 %s: no exponents, keys or empty values",
    async (_, { args, input, isData }) => {
      const { code, out, err } = await work.run(args, input === undefined ? {} : { input })
      expect([code, err]).toEqual([0, err])
      expect(machineWords(isData === true ? err : `${out}\n${err}`)).toEqual([])
    },
  )

  test.each(named)("ds4 %s -q: stderr stays empty", async (_, { args, input }) => {
    const given = input === undefined ? {} : { input }
    const { code, out, err } = await work.run([...args, "-q"], given)
    expect([code, err]).toEqual([0, ""])
    expect(out.length > 0).toBe(!args.includes("--batch"))
  })

  test("help texts, but for the forms of JSON that they show", () => {
    for (const command of COMMANDS)
      expect(machineWords(commandHelp(command).replace(/\{.*\}/g, ""))).toEqual([])
  })

  test("DS4_QUIET and ds4.toml silence as the flag does; errors are told", async () => {
    const environment = { DS4_QUIET: "1" }
    expect((await work.run(["verify"], { environment })).err).toBe("")
    writeFileSync(work.path("quiet.toml"), "quiet = true\n")
    expect((await work.run(["tokenize", "x", "--config", "quiet.toml"])).err).toBe("")
    const failed = await work.run(["run", "-q", "x", "-m", "absent.gguf"])
    expect([failed.code, failed.err]).toEqual([3, "ds4: there is no model at absent.gguf\n"])
  })
})

describe("a context beyond the model's", () => {
  const note =
    "--ctx 65536 is more than demo was made for (8192 tokens); the context is 8192 tokens"
  test.each([
    ["run", ["run", "Hello!", "-n", "2"]],
    ["chat", ["chat"]],
    ["bench", ["bench", ...SMALL]],
    ["logits", ["logits", "--ids", "ids.json"]],
    ["compare", ["logits", "--compare", "trained"]],
  ] as const)("is told by %s, once", async (_, args) => {
    const { err } = await work.run([...args, "-c", "64k"])
    expect(err.split(note)).toHaveLength(2)
  })

  test("what fits is not remarked on", async () => {
    expect((await work.run(["run", "Hello!", "-n", "2", "-c", "8k"])).err).not.toContain("--ctx")
  })
})
