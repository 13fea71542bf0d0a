// Writes one line per request to stderr.

export interface RequestLine {
  id: string
  method: string
  path: string
  status: number
  durationMs: number
  /** Set for generation requests. */
  generation: GenerationLine | undefined
}

interface GenerationLine {
  promptTokens: number
  cachedTokens: number
  /** Prompt tokens that were computed: all but the cached ones, fewer after a cancellation. */
  prefilledTokens: number
  completionTokens: number
  reasoningTokens: number
  ttftMs: number | undefined
  prefillMs: number
  decodeMs: number
  finish: string
  /** Parts of the request that were left out. */
  warnings: readonly string[]
}

export interface RequestLog {
  write(line: RequestLine): void
}

export const SILENT_LOG: RequestLog = { write() {} }

function rate(tokens: number, milliseconds: number): string {
  return milliseconds > 0 ? ((tokens * 1000) / milliseconds).toFixed(1) : "-"
}

function textLine({ id, method, path, status, durationMs, generation }: RequestLine): string {
  const head =
    `${new Date().toISOString()} ${id} ${method} ${path} ${status} ` + `${Math.round(durationMs)}ms`
  if (generation === undefined) return head
  const {
    promptTokens,
    cachedTokens,
    prefilledTokens,
    completionTokens,
    reasoningTokens,
    ttftMs,
    prefillMs,
    decodeMs,
    finish,
    warnings,
  } = generation
  return (
    `${head} prompt=${promptTokens}(${cachedTokens} cached) output=${completionTokens}(` +
    `${reasoningTokens} reasoning)` +
    ` ttft=${ttftMs === undefined ? "-" : `${Math.round(ttftMs)}ms`} prefill=` +
    `${rate(prefilledTokens, prefillMs)}t/s` +
    ` decode=${rate(completionTokens, decodeMs)}t/s finish=${finish}` +
    `${warnings.map((warning) => ` warning=${JSON.stringify(warning)}`).join("")}`
  )
}

/** Writes lines to stderr as text or JSON. */
export function stderrLog(format: "text" | "json"): RequestLog {
  return {
    write(line) {
      const text =
        format === "json"
          ? JSON.stringify({ time: new Date().toISOString(), ...line })
          : textLine(line)
      process.stderr.write(`${text}\n`)
    },
  }
}
