// The turn after one with thinking: its prompt leaves the thinking out, the session holds it.
import { expect, test } from "bun:test"
import { harness, type Harness } from "../testing/harness.ts"

const script = () => "Consider it at some length.</think>The answer is 7."

interface Completion {
  choices: { message: { content: string; reasoning_content?: string } }[]
  usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } }
}

async function ask(
  server: Harness,
  messages: unknown[],
  more: Record<string, unknown> = {},
): Promise<Completion> {
  return (await (
    await server.post("/v1/chat/completions", { messages, ...more })
  ).json()) as Completion
}

/** Cached tokens of each of three turns, and the prompt tokens of the ones before. */
async function threeTurns(
  server: Harness,
  more: Record<string, unknown>[] = [],
): Promise<{ cached: number[]; before: number[] }> {
  const messages: unknown[] = []
  const cached: number[] = []
  const before = [0]
  for (const [index, content] of ["hi", "again", "once more"].entries()) {
    messages.push({ role: "user", content })
    const { choices, usage } = await ask(server, messages, more[index])
    cached.push(usage.prompt_tokens_details.cached_tokens)
    before.push(usage.prompt_tokens)
    messages.push({ role: "assistant", ...choices[0]?.message })
  }
  return { cached, before: before.slice(0, 3) }
}

test("later turns go on with the session, whether or not they think themselves", async () => {
  for (const more of [[], [{}, { reasoning_effort: "none" }, {}]]) {
    const { cached, before } = await threeTurns(
      harness({
        script: (request) => (request.thinkCloseToken === undefined ? "No doubt." : script()),
      }),
      more,
    )
    expect(cached[0]).toBe(0)
    // all but the opening of thinking
    for (const turn of [1, 2])
      expect(cached[turn]).toBeGreaterThanOrEqual((before[turn] ?? Number.NaN) - 1)
  }
})

test("with --keep-reasoning never the prompt is read again as it is written", async () => {
  const server = harness({
    script,
    settings: (settings) => void (settings.answers.keepsReasoning = false),
  })
  expect((await threeTurns(server)).cached).toEqual([0, 0, 0])
  expect(server.engine.requests.every(({ shownAs }) => shownAs === undefined)).toBe(true)
})

test("an answer that was cut while thinking is not taken for one that ended", async () => {
  const server = harness({ script })
  const first = await ask(server, [{ role: "user", content: "hi" }], { max_tokens: 2 })
  const next = await ask(server, [
    { role: "user", content: "hi" },
    { role: "assistant", ...first.choices[0]?.message },
    { role: "user", content: "again" },
  ])
  expect(next.usage.prompt_tokens_details.cached_tokens).toBe(0)
})

test("a completion depends on its prompt alone: no reasoning stays in its session", async () => {
  const server = harness({ script })
  const { tokenizer } = server.state.require().chat
  const prompt = [tokenizer.bos, ...tokenizer.encode("hi"), tokenizer.special.get("<think>")]
  const answer = await server.post("/v1/completions", { prompt })
  expect(answer.status).toBe(200)
  expect(server.engine.requests.at(-1)?.shownAs).toBeUndefined()
})
