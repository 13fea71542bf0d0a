// Writes one line per request to stderr.

export interface RequestLine {
  id: string
  method: string
  path: string
  status: number
  durationMs: number
  /** Set for generation requests. */
  generation: GenerationLine | undefined
  /** A failure of the server's own, whose insides the client is not told. */
  failure: unknown
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
  /** The tier from which the prompt went on; undefined: it did not come to that. */
  cacheSource: "memory" | "disk" | "none" | undefined
  /** A sentence about known tokens that were read again, where they are many. */
  cacheMiss: string | undefined
  /** Parts of the request that were left out, and calls that could not be read. */
  warnings: readonly string[]
}

export interface RequestLog {
  write(line: RequestLine): void
  /** A sentence about the server itself. */
  note(text: string): void
}

export const SILENT_LOG: RequestLog = { write() {}, note() {} }

/** Stacks of an error and of what caused it. */
function causesOf(error: unknown): string {
  const texts: string[] = []
  let each: unknown = error
  while (each instanceof Error && texts.length < 8) {
    texts.push(each.stack ?? `${each.name}: ${each.message}`)
    each = each.cause
  }
  if (each !== undefined && !(each instanceof Error)) texts.push(Bun.inspect(each))
  return texts.join("\ncaused by: ")
}

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
    cacheSource,
    cacheMiss,
    warnings,
  } = generation
  return (
    `${head} prompt=${promptTokens}(${cachedTokens} cached) output=${completionTokens}(` +
    `${reasoningTokens} reasoning)` +
    ` ttft=${ttftMs === undefined ? "-" : `${Math.round(ttftMs)}ms`} prefill=` +
    `${rate(prefilledTokens, prefillMs)}t/s` +
    ` decode=${rate(completionTokens, decodeMs)}t/s finish=${finish}` +
    (cacheSource === undefined ? "" : ` cache=${cacheSource}`) +
    (cacheMiss === undefined ? "" : ` miss=${JSON.stringify(cacheMiss)}`) +
    `${warnings.map((warning) => ` warning=${JSON.stringify(warning)}`).join("")}`
  )
}

/** Writes lines to stderr as text or JSON; a quiet log has failures only. */
export function stderrLog(format: "text" | "json", isQuiet = false): RequestLog {
  return {
    write(line) {
      const { failure, ...facts } = line
      if (isQuiet && failure === undefined) return
      const causes = failure === undefined ? undefined : causesOf(failure)
      const text =
        format === "json"
          ? JSON.stringify({ time: new Date().toISOString(), ...facts, failure: causes })
          : textLine(line) + (causes === undefined ? "" : `\n${line.id} failed: ${causes}`)
      process.stderr.write(`${text}\n`)
    },
    note(text) {
      const time = new Date().toISOString()
      const line = format === "json" ? JSON.stringify({ time, note: text }) : `${time} ${text}`
      process.stderr.write(`${line}\n`)
    },
  }
}
