import type { AnswerUsage } from "@ds4/chat"

const whole = new Intl.NumberFormat("en-US")

/** Tokens a second, or undefined when nothing was timed. */
export function rate(tokens: number, milliseconds: number): number | undefined {
  return tokens > 0 && milliseconds > 0 ? (tokens * 1000) / milliseconds : undefined
}

/** The line under an answer: `1,204 in (1,150 cached) · 312 out · first token 0.4 s · 31.2 t/s`. */
export function statsLine(usage: AnswerUsage, firstTokenMs: number | undefined): string {
  const cached = usage.cachedTokens > 0 ? ` (${whole.format(usage.cachedTokens)} cached)` : ""
  const decode = rate(usage.completionTokens, usage.decodeMs)
  return [
    `${whole.format(usage.promptTokens)} in${cached}`,
    `${whole.format(usage.completionTokens)} out`,
    ...(firstTokenMs === undefined ? [] : [`first token ${(firstTokenMs / 1000).toFixed(1)} s`]),
    ...(decode === undefined ? [] : [`${decode.toFixed(1)} t/s`]),
  ].join(" · ")
}

/** Progress while the prompt is read: `reading 18432/65536 (28 %) 310 t/s, 2:30 left`. */
export function prefillLine(processed: number, total: number, elapsedMs: number): string {
  const share = total === 0 ? 100 : Math.floor((processed * 100) / total)
  const speed = rate(processed, elapsedMs)
  if (speed === undefined) return `reading ${processed}/${total} (${share} %)`
  const seconds = Math.round((total - processed) / speed)
  const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
  return `reading ${processed}/${total} (${share} %) ${speed.toFixed(0)} t/s, ${left} left`
}
