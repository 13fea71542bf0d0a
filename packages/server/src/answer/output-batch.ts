import type { AnswerEvent, OutputEvent, SampledLogprob } from "@ds4/chat"

export interface LogprobLists {
  content: SampledLogprob[]
  reasoning: SampledLogprob[]
}

export interface OutputBatch {
  events: readonly OutputEvent[]
  logprobs: LogprobLists | undefined
}

/** The output among the events of one poll; undefined where there is none. */
export function batchOf(all: readonly AnswerEvent[]): OutputBatch | undefined {
  const events: OutputEvent[] = []
  let logprobs: LogprobLists | undefined
  for (const event of all) {
    if (event.type === "logprobs") {
      logprobs ??= { content: [], reasoning: [] }
      logprobs[event.part === "text" ? "content" : "reasoning"].push(...event.tokens)
    } else if (event.type !== "progress" && event.type !== "finish") events.push(event)
  }
  return events.length === 0 && logprobs === undefined ? undefined : { events, logprobs }
}
