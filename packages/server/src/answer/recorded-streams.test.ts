// Compared with the recordings are the text of each field and the order of event kinds. Where our
// behaviour differs on purpose, the test spells ours out.
import { describe, expect, test } from "bun:test"
import { chatCompletion } from "../api/chat-completions/writer.ts"
import { anthropicMessage } from "../api/messages/writer.ts"
import {
  cases,
  dataAt,
  type Frame,
  isCut,
  type Json,
  leaves,
  normalised,
  of,
  play,
  read,
  summary,
  writerOf,
} from "../testing/recorded-streams.ts"
import type { Transcript } from "./transcript.ts"

// A call that cannot be read is text here; an answer of thinking alone has no empty text block.
const ON_PURPOSE = new Set(["openai-bad-call", "anthropic-bad-call", "anthropic-think-only"])
const CHAT_EXTRAS = ["/system_fingerprint", "/delta/content=", "/logprobs", "/usage", "/timings"]

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
  const TOLD = "try\n\n[A tool call in this answer could not be read: it names no tool.]"
  test.each(
    cases
      .filter(({ id }) => id.endsWith("-bad-call"))
      .map((recorded) => [recorded.id, recorded] as const),
  )("%s: a sentence tells of it", (_, recorded) => {
    const { text, answer, outcome } = play(recorded, writerOf(recorded))
    expect(answer.content).toBe(TOLD)
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
    expect(streamed).toBe(TOLD)
  })
})

test("a stream and a whole answer hold the same reasoning, content and calls", () => {
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
      expect(JSON.stringify(anthropicMessage({ id: "m", model: "m" }, answer, outcome))).toContain(
        '"content":[',
      )
    }
  }
})
