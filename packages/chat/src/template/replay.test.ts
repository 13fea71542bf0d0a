import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { renderChat, startsInThinking } from "./chat-template.ts"
import type { Conversation, Message, ToolCall } from "./conversation.ts"
import { alignBlock, type ReplayBlock, ToolReplay } from "./replay.ts"
import { segmentsText } from "./segment-writer.ts"
import { OutputParser } from "../parser/output-parser.ts"
import { loadTokenizer } from "@ds4/tokenizer"
import { smallDocument, withFiles } from "@ds4/tokenizer/testing"

const tokenizer = await withFiles({ "tokenizer.json": smallDocument() }, (folder) =>
  loadTokenizer({ kind: "tokenizer.json", path: join(folder, "tokenizer.json") }),
)

const SAMPLED =
  '\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name="run">\n<｜DSML｜parameter name="n" ' +
  'string="false">[1,   2.0]</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="run">\n' +
  "</｜DSML｜invoke>\n</｜DSML｜tool_calls>"
const CALLS: readonly ToolCall[] = [
  { id: "call_1", name: "run", arguments: '{"n": [1,2.0]}' },
  { id: "call_2", name: "run", arguments: "{}" },
]
const TOKENS = tokenizer.encodeSegments([{ text: SAMPLED, control: true }])
const BLOCK: ReplayBlock = { lead: "", text: SAMPLED, tokens: TOKENS, calls: CALLS }

const conversation = (calls: readonly ToolCall[]): Conversation => ({
  messages: [
    { role: "user", content: "go" },
    { role: "assistant", content: "hello", toolCalls: calls },
    { role: "tool", toolCallId: "call_1", content: "x" },
  ],
})

const remembered = (): ToolReplay => {
  const replay = new ToolReplay()
  replay.remember(["call_1", "call_2"], BLOCK)
  return replay
}

describe("replay of sampled calls", () => {
  test("puts the sampled bytes and ids in place of rendered ones", () => {
    const origins: string[] = []
    const segments = renderChat(conversation(CALLS), {
      thinking: false,
      replay: remembered(),
      onToolTurn: (origin) => origins.push(origin),
    })
    expect(segmentsText(segments)).toContain(`hello${SAMPLED}<`)
    expect(origins).toEqual(["memory"])
    const ids = tokenizer.encodeSegments(segments)
    expect(tokenizer.decode(ids)).toBe(segmentsText(segments))
    expect(ids.join()).toContain(TOKENS.join())
  })

  test("takes equal arguments in another spelling", () => {
    const respelled = [
      { id: "call_1", name: "run", arguments: ' { "n":[1, 2] }' },
      { id: "call_2", name: "run", arguments: "{ }" },
    ]
    expect(remembered().lookup(respelled)?.origin).toBe("memory")
  })

  const [first, second] = CALLS as [ToolCall, ToolCall]
  test.each([
    ["an edited argument", [{ ...first, arguments: '{"n": [1,3]}' }, second]],
    ["an edited name", [{ ...first, name: "rum" }, second]],
    ["another order", [second, first]],
    ["a call left out", [first]],
    ["a call added", [first, second, { ...second, id: "call_3" }]],
    ["an unknown id", [{ ...first, id: "call_9" }, second]],
  ])("renders canonically after %s", (_, calls) => {
    const origins: string[] = []
    const segments = renderChat(conversation(calls), {
      thinking: false,
      replay: remembered(),
      onToolTurn: (origin) => origins.push(origin),
    })
    expect(origins).toEqual(["canonical"])
    expect(segmentsText(segments)).not.toContain(SAMPLED)
  })

  test("forgets the least recently used first, by ids and by bytes", () => {
    for (const limits of [{ maxIds: 2 }, { maxBytes: 1000 }]) {
      const replay = new ToolReplay(limits)
      const call = (id: string): ToolCall => ({ id, name: "run", arguments: "{}" })
      const block = (id: string): ReplayBlock => ({
        lead: "",
        text: "x".repeat(200),
        tokens: [1],
        calls: [call(id)],
      })
      replay.remember(["a"], block("a"))
      replay.remember(["b"], block("b"))
      expect(replay.lookup([call("a")])).toBeDefined()
      replay.remember(["c"], block("c"))
      expect(replay.lookup([call("b")])).toBeUndefined()
      expect(replay.lookup([call("a")])).toBeDefined()
      expect(replay.lookup([call("c")])?.origin).toBe("memory")
      expect(replay.usage.ids).toBe(2)
    }
  })

  test("a block beyond the limits by itself is not kept", () => {
    const replay = new ToolReplay({ maxBytes: 100 })
    replay.remember(["call_1", "call_2"], BLOCK)
    expect(replay.usage).toEqual({ ids: 0, bytes: 0 })
  })

  test("ids remembered again replace the old block whole", () => {
    const replay = remembered()
    replay.remember(["call_1"], { ...BLOCK, calls: CALLS.slice(0, 1) })
    expect(replay.lookup(CALLS)).toBeUndefined()
    expect(replay.lookup(CALLS.slice(0, 1))).toBeDefined()
    expect(replay.usage.ids).toBe(1)
  })
})

describe("the next turn of a tool loop", () => {
  const tools = [{ name: "run" }]
  const ask: Message = { role: "user", content: "go" }
  const cases = ["why<|>", "<|>content ", "why<|>done.", "<|>"].map(
    (text) => text.replace("<|>", "</think>") + SAMPLED,
  )
  test.each(cases)("begins with the prompt and the answer of this one: %j", (answer) => {
    const options = { thinking: true, replay: new ToolReplay() }
    const prompt = renderChat({ tools, messages: [ask] }, options)
    let issued = 0
    const parser = new OutputParser({
      thinking: startsInThinking(prompt),
      tools,
      newCallId: () => `call_${issued++}`,
    })
    parser.push(answer)
    parser.end("stop")
    const { reasoning, content, calls, block = "" } = parser.result
    const aligned = alignBlock(
      tokenizer,
      tokenizer.encodeSegments([{ text: answer, control: true }]),
      block,
    )
    if (aligned === undefined) throw new Error("the block is the end of what was sampled")
    options.replay.remember(
      calls.map(({ id }) => id),
      { ...aligned, calls },
    )
    const results = calls.map(({ id }): Message => ({ role: "tool", toolCallId: id, content: "x" }))
    const next = renderChat(
      {
        tools,
        messages: [ask, { role: "assistant", content, reasoning, toolCalls: calls }, ...results],
      },
      options,
    )
    expect(segmentsText(next)).toStartWith(segmentsText(prompt) + answer)
  })
})

describe("alignment of tokens and block", () => {
  const parser = new OutputParser({ thinking: false, tools: [{ name: "run" }] })
  parser.push(`hello${SAMPLED}`)
  const block = parser.result.block ?? ""

  test("the parser's block and the sampled tokens end alike", () => {
    expect(block).toBe(SAMPLED)
    const aligned = alignBlock(tokenizer, [...tokenizer.encode("hello"), ...TOKENS], block)
    expect(aligned).toEqual({ lead: "", text: SAMPLED, tokens: TOKENS })
  })

  test("a token that also holds the end of the content leaves a lead", () => {
    const tail = TOKENS.slice(tokenizer.encode("\n\n").length)
    const aligned = alignBlock(tokenizer, tail, SAMPLED)
    expect(aligned).toEqual({ lead: "\n\n", text: SAMPLED.slice(2), tokens: tail })
  })

  test("tokens of another text are refused", () => {
    expect(alignBlock(tokenizer, tokenizer.encode("hello"), SAMPLED)).toBeUndefined()
  })
})
