// Requests to an engine over models/tiny, and what comes of them.
import { expect } from "bun:test"
import { resolve } from "node:path"
import type { NativeEngine } from "../client.ts"
import { EngineError } from "../errors.ts"
import type { GenerateEvent, GenerateRequest, InferenceEngine, Usage } from "../types.ts"

/** Random weights: an answer says nothing, but each step is real. */
export const TINY_MODEL = resolve(import.meta.dir, "../../../../models/tiny")

export const PROMPT = [0, 40, 41, 42, 43]
export const GREEDY = { temperature: 0 }

interface Collected {
  ids: number[]
  events: GenerateEvent[]
  end: Extract<GenerateEvent, { type: "end" }>
}

export async function collect(
  engine: InferenceEngine,
  request: GenerateRequest,
): Promise<Collected> {
  const events: GenerateEvent[] = []
  const ids: number[] = []
  for await (const event of engine.generate(request)) {
    events.push(event)
    if (event.type === "tokens") ids.push(...event.tokens.map(({ id }) => id))
  }
  const end = events.at(-1)
  if (end?.type !== "end") throw new Error("the last event is not an end")
  return { ids, events, end }
}

/** Tokens of an answer of askGreedily. */
export const ANSWER = 3

/** Asks for a few likeliest tokens, and waits until the session is back. */
export async function askGreedily(
  engine: InferenceEngine,
  request: GenerateRequest,
): Promise<{ ids: number[]; cached: number; cache: Usage["cache"] }> {
  const { ids, end } = await collect(engine, {
    sampling: GREEDY,
    stopTokens: [],
    maxTokens: ANSWER,
    ...request,
  })
  await idle(engine)
  const { cachedTokens: cached, cache } = end.usage
  return { ids, cached, cache }
}

/** Tokens that no stream with another first token begins with. */
export const stream = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) =>
    index === 0 ? first : (index * 31 + first * 7 + Math.floor(index / 9)) % 200,
  )

/** The code of the error that refuses a request, or "none". */
export const codeOf = async (engine: InferenceEngine, request: GenerateRequest): Promise<string> =>
  await collect(engine, request).then(
    () => "none",
    (error: unknown) => (error instanceof EngineError ? error.code : String(error)),
  )

/** Waits until cancelled work has released its sessions. */
export async function idle(engine: InferenceEngine): Promise<void> {
  for (let i = 0; i < 400 && engine.stats().running > 0; i++) await Bun.sleep(5)
  expect(engine.stats()).toMatchObject({ running: 0, queued: 0 })
}

/** Greedy continuation one step at a time, through logits alone. */
export function plainGreedy(
  engine: NativeEngine,
  prompt: readonly number[],
  count: number,
): number[] {
  const ids = [...prompt]
  for (let i = 0; i < count; i++) {
    const [row] = [...engine.logits(ids, { mode: "last", topK: 1 })]
    ids.push(row?.top[0]?.id ?? -1)
  }
  return ids.slice(prompt.length)
}
