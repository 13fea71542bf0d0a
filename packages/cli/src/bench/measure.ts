import type { NativeEngine } from "@ds4/engine"
import type { Progress } from "@ds4/progress"
import { spreadOf, type Spread } from "./spread.ts"

interface BenchOptions {
  readonly promptTokens: number
  readonly genTokens: number
  readonly repeats: number
  readonly progress: Progress
}

export interface BenchResult {
  readonly prefillTokensPerSecond: Spread
  readonly decodeTokensPerSecond: Spread
  /** Time to the first token after the prompt was given. */
  readonly firstTokenMs: Spread
  readonly kvCacheBytes: number
}

interface Sample {
  readonly prefill: number
  readonly decode: number
  readonly firstTokenMs: number
  readonly kvCacheBytes: number
}

/**
 * The next token of greedy decoding; the end token counts as any other, so that every run has its
 * length.
 */
function largest(logits: Float32Array): number {
  let best = 0
  for (let id = 1; id < logits.length; id++) if ((logits[id] ?? 0) > (logits[best] ?? 0)) best = id
  return best
}

/** One run on a fresh session: prefill in engine-sized chunks, then single steps. */
function sample(
  engine: NativeEngine,
  prompt: readonly number[],
  genTokens: number,
  chunk: number,
  onTokens: (done: number) => void,
): Sample {
  const session = engine.openSession(prompt.length + genTokens)
  try {
    const startMs = performance.now()
    let logits = new Float32Array()
    for (let begin = 0; begin < prompt.length; begin += chunk) {
      const tokens = prompt.slice(begin, begin + chunk)
      logits = Float32Array.from(
        engine.step([{ session, tokens, rows: begin + chunk >= prompt.length ? "LAST" : "NONE" }]),
      )
      onTokens(begin + tokens.length)
    }
    let token = largest(logits)
    const prefillMs = performance.now() - startMs
    for (let index = 0; index < genTokens; index++) {
      token = largest(engine.step([{ session, tokens: [token], rows: "LAST" }]))
      onTokens(prompt.length + index + 1)
    }
    const decodeMs = performance.now() - startMs - prefillMs
    return {
      prefill: (prompt.length * 1000) / prefillMs,
      decode: (genTokens * 1000) / decodeMs,
      firstTokenMs: prefillMs,
      kvCacheBytes: session.bytes,
    }
  } finally {
    session.close()
  }
}

/** Prefill and decode rates: one run to warm up, then `repeats` that count. */
export function measure(engine: NativeEngine, options: BenchOptions): BenchResult {
  const { vocab } = engine.model
  const chunk = Number(engine.describe().max_step_tokens)
  const prompt = Array.from(
    { length: options.promptTokens },
    (_, index) => (index * 7919 + 13) % vocab,
  ) // 7919: a prime, so that ids differ
  const { progress, genTokens, repeats } = options
  const total = options.promptTokens + genTokens
  const shown = (label: string) => {
    progress.begin({ label, unit: "tokens", total }, true)
    return (done: number) => progress.update(done)
  }
  sample(engine, prompt, Math.min(genTokens, 8), chunk, shown("warming up"))
  const samples = Array.from({ length: repeats }, (_, repeat) =>
    sample(engine, prompt, genTokens, chunk, shown(`run ${repeat + 1} of ${repeats},`)),
  )
  return {
    prefillTokensPerSecond: spreadOf(samples.map(({ prefill }) => prefill)),
    decodeTokensPerSecond: spreadOf(samples.map(({ decode }) => decode)),
    firstTokenMs: spreadOf(samples.map(({ firstTokenMs }) => firstTokenMs)),
    kvCacheBytes: Math.max(...samples.map(({ kvCacheBytes }) => kvCacheBytes)),
  }
}
