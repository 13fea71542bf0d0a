// A stream and a whole answer made from the same tokens hold the same reasoning, content and calls.
// Every recorded output goes through the whole server, in each API and in batches of every size.
import { expect, test } from "bun:test"
import { join } from "node:path"
import { harness } from "../testing/harness.ts"
import { parseFrames } from "../testing/frames.ts"

const FIXTURES = join(import.meta.dir, "../../../chat/fixtures/parse.json")
const recorded = (await Bun.file(FIXTURES).json()) as { cases: { id: string; text: string }[] }

const invoke = (name: string) =>
  `<｜DSML｜invoke name="${name}">\n<｜DSML｜parameter name="p" string="true">1</｜DSML｜parameter>\n` +
  "</｜DSML｜invoke>\n"
const unclosed = [
  {
    id: "text after an open block",
    text: `a\n\n<｜DSML｜tool_calls>\n${invoke("a")}And more text.`,
  },
  {
    id: "text between calls",
    text: `<｜DSML｜tool_calls>\n${invoke("a")}Then\n${invoke("b")}or so`,
  },
  { id: "a bad call after a good one", text: `${invoke("a")}<｜DSML｜invoke>\n</｜DSML｜invoke>` },
  { id: "an open value", text: invoke("a").slice(0, 75) },
  {
    id: "a repeated key",
    text: invoke("a").replace(
      "</｜DSML｜invoke>",
      `${invoke("a").split("\n")[1]}\n</｜DSML｜invoke>`,
    ),
  },
]
const cases = recorded.cases.concat(
  unclosed.map(({ id, text }) => ({ id, text: `Thought.</think>${text}` })),
)

/** Kinds of blocks or items in their order, neighbours of one kind joined. */
const orderOf = (parts: readonly { type: string }[]): string[] =>
  parts.map(({ type }) => type).filter((type, index, types) => type !== types[index - 1])

interface Told {
  reasoning: string
  content: string
  calls: { name: string; value: unknown }[]
}
type Json = Record<string, unknown>
interface ChatMessage {
  content?: string | null
  reasoning_content?: string
  tool_calls?: { index?: number; function: { name?: string; arguments: string } }[]
}
interface Block {
  type: string
  text?: string
  thinking?: string
  name?: string
  input?: unknown
}
interface Item {
  type: string
  summary?: { text: string }[]
  content?: { text: string }[]
  name?: string
  arguments?: string
}

const chatTold = (messages: ChatMessage[]): Told => {
  const calls: { name: string; text: string }[] = []
  messages.forEach((message) =>
    message.tool_calls?.forEach((call, at) => {
      const known = (calls[call.index ?? at] ??= { name: "", text: "" })
      known.name += call.function.name ?? ""
      known.text += call.function.arguments
    }),
  )
  return {
    reasoning: messages.map((message) => message.reasoning_content ?? "").join(""),
    content: messages.map((message) => message.content ?? "").join(""),
    calls: calls.map(({ name, text }) => ({ name, value: JSON.parse(text) as unknown })),
  }
}

const blocksTold = (blocks: Block[]): Told => ({
  reasoning: blocks.map((block) => block.thinking ?? "").join(""),
  content: blocks.map((block) => block.text ?? "").join(""),
  calls: blocks.flatMap((block) =>
    block.type === "tool_use" ? [{ name: block.name ?? "", value: block.input }] : [],
  ),
})

/** Blocks gathered from a message stream. */
function gatherBlocks(frames: Json[]): Block[] {
  const blocks: (Block & { json?: string })[] = []
  for (const frame of frames as {
    type: string
    index: number
    content_block?: Block
    delta?: { thinking?: string; text?: string; partial_json?: string }
  }[]) {
    if (frame.type === "content_block_start" && frame.content_block !== undefined)
      blocks[frame.index] = { ...frame.content_block }
    const block = blocks[frame.index]
    if (frame.type !== "content_block_delta" || block === undefined) continue
    if (frame.delta?.thinking !== undefined)
      block.thinking = (block.thinking ?? "") + frame.delta.thinking
    if (frame.delta?.text !== undefined) block.text = (block.text ?? "") + frame.delta.text
    if (frame.delta?.partial_json !== undefined)
      block.json = (block.json ?? "") + frame.delta.partial_json
  }
  return blocks.map(({ json, ...block }) =>
    json === undefined ? block : { ...block, input: JSON.parse(json) as unknown },
  )
}

const itemsTold = (items: Item[]): Told => ({
  reasoning: items
    .flatMap((item) => item.summary ?? [])
    .map((part) => part.text)
    .join(""),
  content: items
    .flatMap((item) => item.content ?? [])
    .map((part) => part.text)
    .join(""),
  calls: items.flatMap((item) =>
    item.type === "function_call"
      ? [{ name: item.name ?? "", value: JSON.parse(item.arguments ?? "") as unknown }]
      : [],
  ),
})

const NAMES = ["run", "a", "b", "f", "bash", "edit", "get_weather", "run_cmd"]
const parameters = { type: "object", properties: {} }
const user = [{ role: "user", content: "hi" }]

for (const batchTokens of [1, 1000]) {
  test.each(cases.map(({ id, text }) => [id, text] as const))(
    `%s in batches of ${batchTokens}`,
    async (_, text) => {
      const server = harness({ script: () => text, batchTokens })
      const read = async (path: string, body: Json) => {
        const whole = (await (await server.post(path, body)).json()) as Json
        const frames = parseFrames(
          await (await server.post(path, { ...body, stream: true })).text(),
        )
          .filter(({ data }) => data !== "[DONE]")
          .map(({ data }) => JSON.parse(data) as Json)
        return { whole, frames }
      }
      const chat = await read("/v1/chat/completions", {
        messages: user,
        tools: NAMES.map((name) => ({ type: "function", function: { name, parameters } })),
      })
      const chatWhole = chatTold(
        (chat.whole as { choices: { message: ChatMessage }[] }).choices.map(
          (choice) => choice.message,
        ),
      )
      expect(
        chatTold(
          (chat.frames as { choices: { delta: ChatMessage }[] }[]).flatMap((frame) =>
            frame.choices.map((choice) => choice.delta),
          ),
        ),
      ).toEqual(chatWhole)

      const anthropic = await read("/v1/messages", {
        messages: user,
        tools: NAMES.map((name) => ({ name, input_schema: parameters })),
      })
      expect(blocksTold((anthropic.whole as { content: Block[] }).content)).toEqual(chatWhole)
      expect(blocksTold(gatherBlocks(anthropic.frames))).toEqual(chatWhole)
      expect(orderOf(gatherBlocks(anthropic.frames))).toEqual(
        orderOf((anthropic.whole as { content: Block[] }).content),
      )

      const responses = await read("/v1/responses", {
        input: "hi",
        reasoning: { summary: "auto" },
        tools: NAMES.map((name) => ({ type: "function", name, parameters })),
      })
      expect(itemsTold((responses.whole as { output: Item[] }).output)).toEqual(chatWhole)
      const last = responses.frames.at(-1) as { response: { output: Item[] } } | undefined
      expect(itemsTold(last?.response.output ?? [])).toEqual(chatWhole)
      expect(orderOf(last?.response.output ?? [])).toEqual(
        orderOf((responses.whole as { output: Item[] }).output),
      )
    },
  )
}
