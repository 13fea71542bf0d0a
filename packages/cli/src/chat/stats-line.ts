import type { AnswerUsage } from "@ds4/chat"
import { formatWhole } from "@ds4/progress"

/** Tokens a second, or undefined when nothing was timed. */
export function rate(tokens: number, milliseconds: number): number | undefined {
  return tokens > 0 && milliseconds > 0 ? (tokens * 1000) / milliseconds : undefined
}

/** The line under an answer: `1,204 in (1,150 cached) · 312 out · first token 0.4 s · 31.2 t/s`. */
export function statsLine(usage: AnswerUsage, firstTokenMs: number | undefined): string {
  const cached = usage.cachedTokens > 0 ? ` (${formatWhole(usage.cachedTokens)} cached)` : ""
  const decode = rate(usage.completionTokens, usage.decodeMs)
  return [
    `${formatWhole(usage.promptTokens)} in${cached}`,
    `${formatWhole(usage.completionTokens)} out`,
    ...(firstTokenMs === undefined ? [] : [`first token ${(firstTokenMs / 1000).toFixed(1)} s`]),
    ...(decode === undefined ? [] : [`${decode.toFixed(1)} t/s`]),
  ].join(" · ")
}
