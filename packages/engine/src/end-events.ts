// The ends of requests for which no job ran.
import type { CacheReport, GenerateEvent } from "./types.ts"

export function alreadyRead(
  promptTokens: number,
  cachedTokens: number,
  cache: CacheReport,
): GenerateEvent {
  const usage = { promptTokens, cachedTokens, generatedTokens: 0, prefillMs: 0, decodeMs: 0, cache }
  return { type: "end", reason: "length", usage }
}

export function cancelledWhileWaiting(promptTokens: number): GenerateEvent {
  const usage = { promptTokens, cachedTokens: 0, generatedTokens: 0, prefillMs: 0, decodeMs: 0 }
  return { type: "end", reason: "cancelled", usage }
}
