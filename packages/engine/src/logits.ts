// Logits of every position of a token list, for parity tools. Blocks its thread: for command lines,
// not for servers.
import { EngineError } from "./errors.ts"
import type { EngineHandle } from "./native/engine-handle.ts"
import { SessionHandle } from "./native/session.ts"

export interface LogitsOptions {
  /** all: a row for every position; last: one row, for the last. */
  readonly mode: "all" | "last"
  /**
   * How many of the largest come with each row, largest first, the lower id first of equals
   * (default 0).
   */
  readonly topK?: number
}

export interface LogitsRow {
  readonly position: number
  /** [vocab] f32, valid until the next row. */
  readonly logits: Float32Array
  readonly top: readonly { readonly id: number; readonly logit: number; readonly logprob: number }[]
}

/** Floats of logits held at a time: 64 MiB. */
const MAX_LOGITS = 16 * 2 ** 20

interface LogitsSource {
  readonly engine: EngineHandle
  readonly vocab: number
  readonly contextTokens: number
  readonly maxStepTokens: number
}

/** @throws EngineError ARGUMENT or CONTEXT_FULL before the first row */
export function* logitsOf(
  source: LogitsSource,
  tokens: readonly number[],
  options: LogitsOptions,
): Generator<LogitsRow, void, undefined> {
  const { engine, vocab, contextTokens, maxStepTokens } = source
  if (tokens.length === 0)
    throw new EngineError("ARGUMENT", "there are no tokens; expected at least one")
  if (tokens.length > contextTokens)
    throw new EngineError(
      "CONTEXT_FULL",
      `${tokens.length} tokens; a session holds ${contextTokens}`,
    )
  const isAll = options.mode === "all"
  const chunk = isAll
    ? Math.max(1, Math.min(maxStepTokens, Math.floor(MAX_LOGITS / vocab)))
    : maxStepTokens
  using session = SessionHandle.open(engine, contextTokens)
  const rows = new Float32Array((isAll ? Math.min(chunk, tokens.length) : 1) * vocab)
  for (let begin = 0; begin < tokens.length; begin += chunk) {
    const part = tokens.slice(begin, begin + chunk)
    const end = begin + part.length
    const wanted = isAll ? part.length : end === tokens.length ? 1 : 0
    engine.step(
      [{ session, tokens: part, rows: isAll ? "ALL" : wanted === 1 ? "LAST" : "NONE" }],
      wanted === 0 ? undefined : rows.subarray(0, wanted * vocab),
    )
    for (let row = 0; row < wanted; row++) {
      const logits = rows.subarray(row * vocab, (row + 1) * vocab)
      yield { position: end - wanted + row, logits, top: largest(logits, options.topK ?? 0) }
    }
  }
}

function largest(logits: Float32Array, count: number): LogitsRow["top"] {
  if (count === 0) return []
  let highest = -Infinity
  for (const logit of logits) if (logit > highest) highest = logit
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - highest)
  const logSum = highest + Math.log(sum)
  const ids = Uint32Array.from(logits.keys()).sort(
    (a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b,
  )
  return [...ids.subarray(0, count)].map((id) => ({
    id,
    logit: logits[id] ?? 0,
    logprob: (logits[id] ?? 0) - logSum,
  }))
}
