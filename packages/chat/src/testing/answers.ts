// Small chats over the scripted engine, and what their answers come to.
import type { GenerateRequest } from "@ds4/engine"
import { type FakeEngine, type FakeEngineOptions, fakeEngine } from "@ds4/engine/testing"
import { byteTokenizer } from "@ds4/tokenizer/testing"
import type { AnswerEvent, FinishEvent, SampledLogprob } from "../answer/answer-event.ts"
import { Chat, type ChatParts } from "../chat.ts"
import type { ToolCall } from "../template/conversation.ts"
import { writeCalls } from "../template/dsml-render.ts"
import { segmentsText, SegmentWriter } from "../template/segment-writer.ts"

export const tokenizer = byteTokenizer()

type Script = string | ((request: GenerateRequest) => string)

/** A chat whose model writes the script; control strings in it are their tokens. */
export function scriptedChat(
  script: Script,
  options: Partial<FakeEngineOptions> = {},
  parts: Partial<ChatParts> = {},
): { chat: Chat; engine: FakeEngine } {
  const engine = fakeEngine({
    tokenizer,
    script: typeof script === "string" ? () => script : script,
    ...options,
  })
  return { chat: new Chat({ engine, tokenizer, ...parts }), engine }
}

/** All events of an answer, pieces of one part joined. */
interface Told {
  reasoning: string
  text: string
  calls: ToolCall[]
  /** Kinds of events in order, repeats joined, without progress. */
  order: string[]
  logprobs: Record<"reasoning" | "text", SampledLogprob[]>
  finish: FinishEvent | undefined
}

export async function tell(events: AsyncIterable<AnswerEvent>): Promise<Told> {
  const told: Told = {
    reasoning: "",
    text: "",
    calls: [],
    order: [],
    logprobs: { reasoning: [], text: [] },
    finish: undefined,
  }
  for await (const event of events) {
    if (event.type === "reasoning") told.reasoning += event.text
    else if (event.type === "text") told.text += event.text
    else if (event.type === "tool-call-end") told.calls.push(event.call)
    else if (event.type === "logprobs") told.logprobs[event.part].push(...event.tokens)
    else if (event.type === "finish") told.finish = event
    const isCounted = event.type !== "progress" && event.type !== "logprobs"
    if (isCounted && told.order.at(-1) !== event.type) told.order.push(event.type)
  }
  return told
}

/** A tool block as the model writes it. */
export function toolBlock(
  ...calls: { name: string; arguments: Record<string, string | number> }[]
): string {
  const writer = new SegmentWriter()
  writeCalls(
    writer,
    calls.map((call) => ({ id: "", name: call.name, arguments: JSON.stringify(call.arguments) })),
    "reference",
  )
  return segmentsText(writer.finish())
}
