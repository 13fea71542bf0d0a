// Plays events through a writer, and reads back the frames that it wrote.
import { parseFrames } from "./frames.ts"
import type { Outcome } from "../answer/outcome.ts"
import type { OutputBatch } from "../answer/output-batch.ts"
import type { StreamWriter } from "../answer/stream-writer.ts"

export const IDENTITY = { id: "chatcmpl-1", created: 7, model: "m", fingerprint: "f" }
export const OUTCOME: Outcome = {
  finish: "stop",
  stopString: undefined,
  prefillMs: 5,
  decodeMs: 10,
  usage: { promptTokens: 10, cachedTokens: 4, completionTokens: 20, reasoningTokens: 3 },
}

const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>
export const frames = (text: string) =>
  parseFrames(text).map((frame) => ({
    event: frame.event,
    data: frame.data === "[DONE]" ? "[DONE]" : json(frame.data),
  }))

export function lastData<T>(all: { data: unknown }[]): T {
  return all[all.length - 1]?.data as T
}

export function run(
  writer: StreamWriter,
  events: OutputBatch["events"],
  outcome = OUTCOME,
): string {
  const open = writer.open({ promptTokens: 10, cachedTokens: 4 })
  return open + writer.write({ events, logprobs: undefined }) + writer.close(outcome)
}
