// The Anthropic client against `ds4 serve` on the demo model.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import Anthropic from "@anthropic-ai/sdk"
import { CLOCK, lastNumber, SUMS } from "./support/demo-questions.ts"
import { DemoHome, type DemoServer } from "./support/demo-server.ts"

setDefaultTimeout(120_000) // the machine may be busy

const TOOLS = [
  {
    name: CLOCK.name,
    description: CLOCK.description,
    input_schema: { ...CLOCK.parameters, required: [...CLOCK.parameters.required] },
  },
]
const home = new DemoHome()
let server: DemoServer
let client: Anthropic

beforeAll(async () => {
  server = await home.serve()
  client = new Anthropic({ baseURL: server.url, apiKey: "none", maxRetries: 0 })
})
afterAll(async () => {
  await server?.stop()
  home[Symbol.dispose]()
})

type Request = Pick<Anthropic.MessageCreateParamsNonStreaming, "messages" | "tools">

/** One greedy answer. */
async function ask(
  request: Request,
  { thinks, isStreamed }: { thinks: boolean; isStreamed: boolean },
): Promise<Anthropic.Message> {
  const thinking = thinks
    ? { type: "enabled" as const, budget_tokens: 1024 }
    : { type: "disabled" as const }
  const body = { model: "demo", max_tokens: 2048, temperature: 0, thinking, ...request }
  return isStreamed
    ? await client.messages.stream(body).finalMessage()
    : await client.messages.create(body)
}

const kinds = (message: Anthropic.Message): string[] => message.content.map(({ type }) => type)
const textOf = (message: Anthropic.Message): string =>
  message.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("")

for (const isStreamed of [false, true]) {
  const suffix = isStreamed ? ", streamed" : ""

  test(`thinking is a block of its own, and none without it${suffix}`, async () => {
    const [question = "", result = 0] = SUMS[0] ?? []
    const messages = [{ role: "user" as const, content: question }]
    const thought = await ask({ messages }, { thinks: true, isStreamed })
    expect([kinds(thought), thought.stop_reason]).toEqual([["thinking", "text"], "end_turn"])
    expect(lastNumber(textOf(thought))).toBe(result)
    const plain = await ask({ messages }, { thinks: false, isStreamed })
    expect([kinds(plain), plain.stop_reason]).toEqual([["text"], "end_turn"])
  })

  for (const thinks of [false, true]) {
    test(
      `a tool is called, its result is used${thinks ? ", with thinking" : ""}` + `${suffix}`,
      async () => {
        const asked = { role: "user" as const, content: CLOCK.question }
        const first = await ask({ messages: [asked], tools: TOOLS }, { thinks, isStreamed })
        expect(first.stop_reason).toBe("tool_use")
        const uses = first.content.filter((block) => block.type === "tool_use")
        expect(uses.map(({ name, input }) => ({ name, input }))).toEqual([
          { name: CLOCK.name, input: CLOCK.arguments },
        ])
        const result = {
          role: "user" as const,
          content: [
            { type: "tool_result" as const, tool_use_id: uses[0]?.id ?? "", content: CLOCK.result },
          ],
        }
        const second = await ask(
          {
            messages: [asked, { role: "assistant", content: first.content }, result],
            tools: TOOLS,
          },
          { thinks, isStreamed },
        )
        expect(second.stop_reason).toBe("end_turn")
        expect(textOf(second)).toContain(CLOCK.needle)
        // declarations and call are not read again
        expect(second.usage.cache_read_input_tokens ?? 0).toBeGreaterThan(100)
      },
    )
  }
}
