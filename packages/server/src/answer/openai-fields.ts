// Fields that OpenAI's two completion objects share.
import type { Outcome } from "./outcome.ts"

export interface CompletionIdentity {
  /** "chatcmpl-…" or "cmpl-…". */
  id: string
  /** Unix seconds, the same in every chunk. */
  created: number
  model: string
  fingerprint: string
}

/** OpenAI's usage object; cache_write_tokens is an extension: prompt tokens computed now. */
export function openaiUsage({ usage, cache }: Outcome): Record<string, unknown> {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: {
      cached_tokens: usage.cachedTokens,
      cache_write_tokens: usage.promptTokens - usage.cachedTokens,
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    ...(cache === undefined ? {} : { cache_explanation: cache }),
  }
}

/** The `timings` extension: counts, milliseconds and tokens per second. */
export function timings({ usage, prefillMs, decodeMs }: Outcome): Record<string, number> {
  const computed = usage.promptTokens - usage.cachedTokens
  return {
    prompt_n: computed,
    prompt_ms: prefillMs,
    prompt_per_second: perSecond(computed, prefillMs),
    predicted_n: usage.completionTokens,
    predicted_ms: decodeMs,
    predicted_per_second: perSecond(usage.completionTokens, decodeMs),
    cache_n: usage.cachedTokens,
  }
}

function perSecond(tokens: number, milliseconds: number): number {
  return milliseconds > 0 ? (tokens * 1000) / milliseconds : 0
}
