import { describe, expect, test } from "bun:test"
import type { GeneratedToken } from "@ds4/engine"
import { Random } from "@ds4/model-file/testing"
import { tokenizer, toolBlock } from "../testing/answers.ts"
import type { LogprobsEvent, SampledLogprob } from "./answer-event.ts"
import { AnswerReader, type ReaderOptions } from "./answer-reader.ts"
import type { OutputEvent } from "../parser/events.ts"

const CALLS = toolBlock(
  { name: "run_cmd", arguments: { command: "ls -l\nä🙂", depth: 3 } },
  { name: "find", arguments: { pattern: "END of it" } },
)
const ANSWERS = [
  "Think a little.</think>The answer is 7, or ä🙂 END and more.",
  `Think.</think>Let me see.${CALLS}after`,
  `never closed ${CALLS}`,
  `</think>${CALLS}`,
  "no end of thinking at all, 🙂",
  "</think>\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke>\nnot a call",
]

const named = (names: readonly string[]) => names.map((name) => ({ name }))

interface Case {
  text: string
  isThinking: boolean
  toolNames: string[]
  options: ReaderOptions
  isCut: boolean
}

function randomCase(random: Random): Case {
  return {
    text: random.pick(ANSWERS),
    isThinking: random.below(3) > 0,
    toolNames: random.pick([[], ["run_cmd", "find"]]),
    options: {
      stopStrings: random.pick([[], ["END"], ["ä🙂", "7"]]),
      strictTools: random.below(4) === 0,
      allowParallelCalls: random.below(3) > 0,
      newCallId: () => "call_1",
    },
    isCut: random.below(3) === 0,
  }
}

/** The parts of an answer, whichever events carried them. */
class Parts {
  readonly pieces: OutputEvent[] = []
  readonly logprobs: Record<"reasoning" | "text", SampledLogprob[]> = { reasoning: [], text: [] }

  add(events: readonly (OutputEvent | LogprobsEvent)[]): void {
    for (const event of events) {
      if (event.type === "logprobs") this.logprobs[event.part].push(...event.tokens)
      else this.join(event)
    }
  }

  private join(event: OutputEvent): void {
    const last = this.pieces.at(-1)
    if (last !== undefined && "text" in last && "text" in event && last.type === event.type)
      this.pieces[this.pieces.length - 1] = { ...last, text: last.text + event.text }
    else this.pieces.push(event)
  }
}

function read(
  { text, isThinking, toolNames, options, isCut }: Case,
  sizes: () => number,
): Record<string, unknown> {
  const reader = new AnswerReader(tokenizer, { isThinking, tools: named(toolNames) }, options)
  const tokens = tokenizer
    .encodeSegments([{ text, control: true }])
    .map((id, index): GeneratedToken => ({ id, logprob: -index, top: [{ id, logprob: -index }] }))
  const parts = new Parts()
  for (let begin = 0; begin < tokens.length; ) {
    const end = begin + sizes()
    parts.add(reader.push(tokens.slice(begin, end)))
    begin = end
  }
  parts.add(reader.end(isCut ? "length" : "stop"))
  return {
    pieces: parts.pieces,
    logprobs: parts.logprobs,
    finish: reader.finish,
    stopString: reader.stopString,
    completionTokens: reader.completionTokens,
    reasoningTokens: reader.reasoningTokens,
    content: reader.content,
    calls: reader.calls,
    sampledBlock: reader.sampledBlock,
    sampledContent: reader.sampledContent,
  }
}

describe("batches of tokens", () => {
  test("however tokens are batched, the answer is the same", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed)
      const each = randomCase(random)
      const whole = read(each, () => Number.MAX_SAFE_INTEGER)
      const single = read(each, () => 1)
      const mixed = read(each, () => 1 + random.below(9))
      expect({ seed, ...single }).toEqual({ seed, ...whole })
      expect({ seed, ...mixed }).toEqual({ seed, ...whole })
    }
  })

  test("text of one part is one event in a batch", () => {
    const reader = new AnswerReader(tokenizer, { isThinking: true, tools: [] })
    const ids = tokenizer.encodeSegments([{ text: "a b</think>c d e", control: true }])
    const kinds = reader.push(ids.map((id) => ({ id }))).map(({ type }) => type)
    expect(kinds).toEqual(["reasoning", "text"])
  })
})

describe("the end of an answer", () => {
  const push = (
    text: string,
    options: ReaderOptions,
    toolNames: string[] = ["run_cmd", "find"],
  ) => {
    const reader = new AnswerReader(
      tokenizer,
      { isThinking: false, tools: named(toolNames) },
      options,
    )
    const ids = tokenizer.encodeSegments([{ text, control: true }])
    reader.push(ids.map((id) => ({ id })))
    return reader
  }

  test("tokens after a closed block, a stop string or the only call are not read", () => {
    for (const [text, options, finish] of [
      [`x${CALLS}after`, {}, "tool-calls"],
      ["x END after", { stopStrings: ["END"] }, "stop-string"],
      [`x${CALLS}`, { allowParallelCalls: false }, "tool-calls"],
    ] as const) {
      const reader = push(text, options)
      expect(reader.finish).toBe(finish)
      expect(reader.content.trim()).toBe("x")
      expect(reader.calls.length).toBe(
        finish === "stop-string" ? 0 : "allowParallelCalls" in options ? 1 : 2,
      )
      expect(reader.push([{ id: tokenizer.eos }])).toEqual([])
    }
  })

  test("a cut names its limit, and a cancelled answer keeps what there was", () => {
    for (const [reason, finish] of [
      ["stop", "stop"],
      ["length", "length"],
      ["context", "context"],
      ["cancelled", "cancelled"],
    ] as const) {
      const reader = push("half a sentence", {})
      reader.end(reason)
      expect([reader.finish, reader.content]).toEqual([finish, "half a sentence"])
    }
  })

  test("content is repeated by its ids only where they are exactly its text", () => {
    expect(push("plain text", {}).sampledContent).toEqual(tokenizer.encode("plain text"))
    expect(push("x END", { stopStrings: ["END"] }).sampledContent).toBeUndefined()
  })
})
