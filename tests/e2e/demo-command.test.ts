// Commands that name no model: they use the demo model, say so on stderr, and keep stdout for
// results.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test"
import { lastNumber, SUMS } from "./support/demo-questions.ts"
import { DemoHome } from "./support/demo-server.ts"

setDefaultTimeout(120_000) // the machine may be busy

const home = new DemoHome()
afterAll(() => home[Symbol.dispose]())

const LINE = "model: the embedded demo model (models/demo): "
const [[QUESTION, RESULT] = ["", 0]] = SUMS

const json = (text: string) => JSON.parse(text) as Record<string, unknown>

test(
  "every command that takes a model takes the demo model, and says so once on " + "stderr",
  async () => {
    const commands: readonly (readonly [args: readonly string[], input?: string])[] = [
      [["run", "Hello!", "-n", "4", "--json"]],
      [["chat", "-n", "4"], "Hello!\n"],
      [["tokenize", "Hello!", "--json"]],
      [["detokenize", "65", "--json"]],
      [["inspect", "--json"]],
      [["verify", "--json"]],
      [["logits", "--compare", "plain", "--numerics", "plain", "--json"]],
      [["render", "--json"], '[{"role": "user", "content": "Hello!"}]'],
    ]
    for (const [args, input] of commands) {
      const { code, out, err } = await home.ds4(args, input)
      expect([args, code, err.split("\n").filter((line) => line.startsWith(LINE)).length]).toEqual([
        args,
        0,
        1,
      ])
      if (args.includes("--json")) expect(Object.keys(json(out)).length).toBeGreaterThan(0)
    }
    expect((await home.ds4(["run", "Hello!", "-n", "4", "--think=off", "--quiet"])).err).toBe("")
  },
)

test("run thinks apart from its answer, and --think=off does not think", async () => {
  const thought = json((await home.ds4(["run", QUESTION, "--temp", "0", "--json"])).out)
  expect(thought).toMatchObject({ model: "demo", finish_reason: "stop" })
  expect(thought.reasoning).not.toBe("")
  expect(lastNumber(String(thought.content))).toBe(RESULT)
  const plain = json(
    (await home.ds4(["run", QUESTION, "--temp", "0", "--think=off", "--json"])).out,
  )
  expect(plain).toMatchObject({ reasoning: "", finish_reason: "stop" })
})

test("eval counts a kind against its goal", async () => {
  const result = json((await home.ds4(["eval", "--suite", "demo", "instruction", "--json"])).out)
  const kinds = result.kinds as {
    kind: string
    right: number
    total: number
    percent: number
    goal_percent: number
  }[]
  expect(kinds.map(({ kind, goal_percent }) => [kind, goal_percent])).toEqual([["instruction", 80]])
  const [{ right, total, percent } = { right: 0, total: 0, percent: 0 }] = kinds
  expect(percent).toBeCloseTo((100 * right) / total, 6)
  expect(percent).toBeGreaterThanOrEqual(75)
  expect((result.ended as { percent: number }).percent).toBeGreaterThanOrEqual(95)
  expect(result.results).toHaveLength(total)
})

test("bench: two cores decode the demo model at 60 tokens a second or more", async () => {
  // the best of five: this is about the engine, and other tests run beside it
  const { out } = await home.ds4([
    "bench",
    "--prompt-tokens",
    "64",
    "--gen-tokens",
    "64",
    "--repeats",
    "5",
    "--json",
  ])
  const { decode_tokens_per_second: rate } = json(out) as {
    decode_tokens_per_second: { high: number }
  }
  expect(rate.high).toBeGreaterThanOrEqual(60)
})
