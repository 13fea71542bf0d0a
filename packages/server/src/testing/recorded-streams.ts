// The recorded event streams of the three APIs, played through our writers.
import { join } from "node:path"
import { OutputParser } from "@ds4/chat"
import type { Outcome } from "../answer/outcome.ts"
import type { StreamWriter } from "../answer/stream-writer.ts"
import { Transcript } from "../answer/transcript.ts"
import { ChatStreamWriter } from "../api/chat-completions/writer.ts"
import { MessageStreamWriter } from "../api/messages/writer.ts"
import { ResponseStreamWriter } from "../api/responses/writer.ts"
import { parseFrames } from "./frames.ts"

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

export type Json = Record<string, unknown>

const FIXTURES = join(import.meta.dir, "../../../chat/fixtures/streams.json")
export const { cases } = (await Bun.file(FIXTURES).json()) as { cases: StreamCase[] }

/** The finish of the recording, as the engine would report it. */
export function isCut(recorded: StreamCase): boolean {
  const events = JSON.stringify(recorded.expected_events)
  return [
    /"finish_reason": ?"length"/,
    /"stop_reason": ?"max_tokens"/,
    /"type": ?"response.incomplete"/,
  ].some((finish) => finish.test(events))
}

export function writerOf(recorded: StreamCase): StreamWriter {
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
export function play(recorded: StreamCase, writer: StreamWriter): Played {
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

export type Frame = { event: string | null; data: Json | "[DONE]" }

export const read = (text: string): Frame[] =>
  parseFrames(text).map(({ event, data }) => ({
    event,
    data: data === "[DONE]" ? data : (JSON.parse(data) as Json),
  }))

/** Every leaf of a JSON value as "path" → text. */
export function leaves(value: unknown, path = ""): [string, string][] {
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([key, each]) => leaves(each, `${path}/${key}`))
  return [[path, String(value)]]
}

/** Parts of a frame that hold text which may be cut anywhere. */
const TEXT_FIELDS = /\/(content|reasoning_content|arguments|text|thinking|partial_json|delta)$/

/** Ids are random and JSON arguments may be spaced differently. */
export function normalised(path: string, text: string): string {
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
export function summary(frames: readonly Frame[], ignored: readonly string[] = []): Summary {
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
export function dataAt<T>(frames: readonly Frame[], index: number): T {
  const frame = frames.at(index)
  if (frame === undefined) throw new Error(`no frame ${index} among ${frames.length}`)
  return frame.data as T
}

export const of = (api: StreamCase["api"]) => cases.filter((recorded) => recorded.api === api)
