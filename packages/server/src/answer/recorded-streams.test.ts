// The recorded event streams of the three APIs. Compared are the concatenation per field and the
// order of event kinds; where the recordings and our required behaviour differ on purpose, ours is
// spelled out here.
import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { OutputParser } from "@ds4/tokenizer"
import { type Outcome, type StreamWriter, Transcript } from "./answer.ts"
import { anthropicMessage, MessageStreamWriter } from "../api/messages/writer.ts"
import { chatCompletion, ChatStreamWriter } from "../api/chat-completions/writer.ts"
import { ResponseStreamWriter } from "../api/responses/writer.ts"
import { parseFrames } from "../testing/frames.ts"

interface StreamCase {
  id: string
  api: "openai" | "anthropic" | "responses"
  think: "none" | "high"
  tools_declared: boolean
  feed_bytes: number
  generated: string
  prompt_tokens: number
  cached_tokens: number
  completion_tokens: number
  expected_events: { event: string | null; data: Json | "[DONE]" }[]
}

type Json = Record<string, unknown>

const FIXTURES = join(import.meta.dir, "../../../tokenizer/test/fixtures/prompting/streams.json")
const { cases } = (await Bun.file(FIXTURES).json()) as { cases: StreamCase[] }

/** The finish of the recording, as the engine would report it. */
function isCut(recorded: StreamCase): boolean {
  return /"finish_reason": ?"length"|"stop_reason": ?"max_tokens"|"type": ?"response.incomplete"/.test(
    JSON.stringify(recorded.expected_events),
  )
}

function writerOf(recorded: StreamCase): StreamWriter {
  const base = { id: "chatcmpl-1", created: 0, model: "deepseek-v4-flash" }
  if (recorded.api === "openai")
    return new ChatStreamWriter(
      { ...base, fingerprint: "f" },
      { includeUsage: true, includeProgress: false, logprobs: false },
    )
  if (recorded.api === "anthropic")
    return new MessageStreamWriter({ id: "chatcmpl-1", model: base.model })
  return new ResponseStreamWriter({
    ...base,
    id: "resp_1",
    echo: {},
    reasoning: { showSummary: true, includeEncrypted: false },
    tools: new Map(),
  })
}

interface Played {
  text: string
  answer: Transcript
  outcome: Outcome
}

/** Feeds the text `feed_bytes` at a time, never half a character, as the recorder did. */
function play(recorded: StreamCase, writer: StreamWriter): Played {
  const names = ["run_cmd", "a", "b"].map((name) => ({ name }))
  const parser = new OutputParser({
    thinking: recorded.think !== "none",
    tools: recorded.tools_declared ? names : [],
    holdArgumentUnits: 0,
  })
  const decoder = new TextDecoder()
  const bytes = new TextEncoder().encode(recorded.generated)
  const answer = new Transcript()
  let text = writer.open({
    promptTokens: recorded.prompt_tokens,
    cachedTokens: recorded.cached_tokens,
  })
  const write = (events: ReturnType<OutputParser["push"]>) => {
    answer.add({ events, logprobs: undefined })
    text += writer.write({ events, logprobs: undefined })
  }
  for (let at = 0; at < bytes.length; at += recorded.feed_bytes)
    write(
      parser.push(decoder.decode(bytes.subarray(at, at + recorded.feed_bytes), { stream: true })),
    )
  write(parser.end(isCut(recorded) ? "cut" : "stop"))
  const { finish } = parser.result
  const outcome: Outcome = {
    finish: finish === "tool_calls" ? "tool-calls" : finish,
    stopString: undefined,
    prefillMs: 1,
    decodeMs: 1,
    usage: {
      promptTokens: recorded.prompt_tokens,
      cachedTokens: recorded.cached_tokens,
      completionTokens: recorded.completion_tokens,
      reasoningTokens: 0,
    },
  }
  return { text: text + writer.close(outcome), answer, outcome }
}

type Frame = { event: string | null; data: Json | "[DONE]" }

const read = (text: string): Frame[] =>
  parseFrames(text).map(({ event, data }) => ({
    event,
    data: data === "[DONE]" ? data : (JSON.parse(data) as Json),
  }))

/** Every leaf of a JSON value as "path" → text. */
function leaves(value: unknown, path = ""): [string, string][] {
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([key, each]) => leaves(each, `${path}/${key}`))
  return [[path, String(value)]]
}

/** Parts of a frame that hold text which may be cut anywhere. */
const TEXT_FIELDS = /\/(content|reasoning_content|arguments|text|thinking|partial_json|delta)$/

/** Ids are random and JSON arguments may be spaced differently. */
function normalised(path: string, text: string): string {
  if (/\/(id|item_id|call_id|signature|created|created_at|system_fingerprint)$/.test(path))
    return "*"
  return /arguments|partial_json/.test(path) && text.endsWith("}")
    ? JSON.stringify(JSON.parse(text))
    : text
}

interface Summary {
  kinds: string[]
  texts: Record<string, string>
}

/** Order of event kinds (repeats joined) and the text of each field of each item. */
function summary(frames: readonly Frame[], ignored: readonly string[] = []): Summary {
  const kinds: string[] = []
  const texts: Record<string, string> = {}
  for (const { data } of frames) {
    if (data === "[DONE]") {
      kinds.push(data)
      continue
    }
    const all = leaves(data).filter(([path]) => !ignored.some((part) => path.includes(part)))
    const owner =
      all.find(
        ([path]) => /\/(output_index|index)$/.test(path) && !path.startsWith("/choices/0/index"),
      )?.[1] ?? ""
    const type = typeof data.type === "string" ? data.type : ""
    for (const [path, text] of all)
      if (TEXT_FIELDS.test(path))
        texts[`${type}${path}@${owner}`] = (texts[`${type}${path}@${owner}`] ?? "") + text
    const shape = all
      .filter(
        ([path]) => !TEXT_FIELDS.test(path) && !/usage|logprobs|timings|sequence_number/.test(path),
      )
      .map(([path, text]) => `${path}=${normalised(path, text)}`)
    const kind = [...shape, ...all.filter(([path]) => TEXT_FIELDS.test(path)).map(([path]) => path)]
      .sort()
      .join(" ")
    if (kinds.at(-1) !== kind) kinds.push(kind)
  }
  for (const [path, text] of Object.entries(texts)) texts[path] = normalised(path, text)
  return { kinds, texts }
}

/** The JSON of one frame, counted from the end if negative. */
function dataAt<T>(frames: readonly Frame[], index: number): T {
  const frame = frames.at(index)
  if (frame === undefined) throw new Error(`no frame ${index} among ${frames.length}`)
  return frame.data as T
}

const ON_PURPOSE = new Set(["openai-bad-call", "anthropic-bad-call"])
const CHAT_EXTRAS = ["/system_fingerprint", "/delta/content=", "/logprobs", "/usage", "/timings"]

const of = (api: StreamCase["api"]) => cases.filter((recorded) => recorded.api === api)

describe("recorded chat streams", () => {
  test.each(
    of("openai")
      .filter(({ id }) => !ON_PURPOSE.has(id))
      .map((recorded) => [recorded.id, recorded] as const),
  )("%s", (_, recorded) => {
    const ours = read(play(recorded, writerOf(recorded)).text)
    // The opening frame also carries "content":"", which some clients want.
    expect(dataAt<{ choices: [{ delta: Json }] }>(ours, 0).choices[0].delta).toEqual({
      role: "assistant",
      content: "",
    })
    delete dataAt<{ choices: [{ delta: Json }] }>(ours, 0).choices[0].delta.content
    expect(summary(ours, CHAT_EXTRAS)).toEqual(summary(recorded.expected_events, CHAT_EXTRAS))
    const usage = (frames: Frame[]) => dataAt<{ usage: Json }>(frames, -2).usage
    expect(usage(ours)).toEqual({
      ...usage(recorded.expected_events),
      completion_tokens_details: { reasoning_tokens: 0 },
    })
  })
})

describe("recorded message streams", () => {
  test.each(
    of("anthropic")
      .filter(({ id }) => !ON_PURPOSE.has(id))
      .map((recorded) => [recorded.id, recorded] as const),
  )("%s", (_, recorded) => {
    const ours = read(play(recorded, writerOf(recorded)).text)
    expect(summary(ours)).toEqual(summary(recorded.expected_events))
    // Required, and different in the recordings: cached tokens are counted, and the usage is
    // repeated at the end.
    const usage = { input_tokens: 6, cache_read_input_tokens: 4, cache_creation_input_tokens: 0 }
    expect(dataAt<{ message: { usage: Json } }>(ours, 0).message.usage).toEqual({
      ...usage,
      output_tokens: 0,
    })
    expect(dataAt<{ usage: Json }>(ours, -2).usage).toEqual({ ...usage, output_tokens: 20 })
  })
})

describe("recorded response streams", () => {
  const types = (frames: readonly Frame[]) =>
    frames.map(({ data }) => (data as { type: string }).type)
  const output = (frames: readonly Frame[]) => {
    const { response } = dataAt<{ response: { output: Json[]; status: string; usage: Json } }>(
      frames,
      -1,
    )
    const clean = (item: Json) =>
      Object.fromEntries(leaves(item).map(([path, text]) => [path, normalised(path, text)]))
    return { status: response.status, usage: response.usage, output: response.output.map(clean) }
  }
  test.each(of("responses").map((recorded) => [recorded.id, recorded] as const))(
    "%s",
    (_, recorded) => {
      const ours = read(play(recorded, writerOf(recorded)).text)
      if (recorded.id !== "responses-bad-call")
        expect(output(ours)).toEqual(output(recorded.expected_events))
      // The same kinds of events, but each item is closed before the next one opens, and
      // in_progress follows created.
      const kinds = (frames: readonly Frame[]) =>
        [...new Set(types(frames))].filter((type) => type !== "response.in_progress").sort()
      expect(kinds(ours)).toEqual(kinds(recorded.expected_events))
      expect(types(ours).slice(0, 2)).toEqual(["response.created", "response.in_progress"])
      let open: number | undefined
      for (const { event, data } of ours) {
        const { type, output_index: index } = data as { type: string; output_index?: number }
        expect(event).toBe(type)
        if (type === "response.output_item.added") {
          expect(open).toBeUndefined()
          open = index
        } else if (index !== undefined) expect(index).toBe(open ?? -1)
        if (type === "response.output_item.done") open = undefined
      }
      const numbers = ours.map(({ data }) => (data as { sequence_number: number }).sequence_number)
      expect(numbers).toEqual(numbers.map((_number, index) => index))
      if (isCut(recorded))
        expect(dataAt<{ response: Json }>(ours, -1).response.incomplete_details).toEqual({
          reason: "max_output_tokens",
        })
    },
  )
})

describe("on purpose different: a malformed block", () => {
  const LOST = "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke>\n</｜DSML｜tool_calls>"
  test.each(
    cases
      .filter(({ id }) => id.endsWith("-bad-call"))
      .map((recorded) => [recorded.id, recorded] as const),
  )("%s: the withheld bytes are flushed as content", (_, recorded) => {
    const { text, answer, outcome } = play(recorded, writerOf(recorded))
    expect(answer.content).toBe(`try${LOST}`)
    expect(answer.calls).toEqual([])
    expect(outcome.finish).toBe("stop")
    const streamed = read(text)
      .map(({ data }) =>
        data === "[DONE]"
          ? ""
          : leaves(data)
              .filter(([path]) => /\/delta\/(content|text)$|^\/delta$/.test(path))
              .map(([, part]) => part)
              .join(""),
      )
      .join("")
    expect(streamed).toBe(`try${LOST}`)
  })
})

test(
  "a stream and a whole answer from the same text hold the same reasoning, content and " + "calls",
  () => {
    for (const recorded of cases) {
      for (const feed of [1, 2, 3, 5, 17, 1000]) {
        const { answer, outcome } = play({ ...recorded, feed_bytes: feed }, writerOf(recorded))
        const { answer: other } = play({ ...recorded, feed_bytes: 1000 }, writerOf(recorded))
        const plain = (each: Transcript) => ({
          reasoning: each.reasoning,
          content: each.content,
          calls: each.calls.map(({ name, arguments: text }) => ({
            name,
            value: JSON.parse(text) as unknown,
          })),
        })
        expect(plain(answer)).toEqual(plain(other))
        const chat = chatCompletion(
          { id: "c", created: 0, model: "m", fingerprint: "f" },
          answer,
          outcome,
          false,
        ) as { choices: [{ message: { content: string | null } }] }
        expect(chat.choices[0].message.content ?? "").toBe(answer.content)
        expect(
          JSON.stringify(anthropicMessage({ id: "m", model: "m" }, answer, outcome)),
        ).toContain('"content":[')
      }
    }
  },
)
