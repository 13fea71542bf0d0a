// Where a prompt went on from, and where it left what was known: for clients that ask, and for the
// log.
import type { CacheReport } from "@ds4/engine"
import type { Tokenizer } from "@ds4/tokenizer"

/** A request with this header is told where its prompt went on from. */
const HEADER = "x-ds4-explain-cache"

/** Fewer known tokens that were read again are not worth a line. */
const MANY_TOKENS = 1000

/** A prompt and how much of it was cached. */
interface ReadPrompt {
  readonly tokens: readonly number[]
  readonly cachedTokens: number
}

/** The member `cache_explanation` of a usage object. */
export interface CacheExplanation {
  readonly source: CacheReport["source"]
  readonly cached_tokens: number
  /** A sentence for people. */
  readonly reason: string
  readonly nearest: NearestJson | null
}

interface NearestJson {
  readonly source: "memory" | "disk"
  /** Tokens and bytes of the rendered prompt that both begin with. */
  readonly shared_tokens: number
  readonly byte_offset: number
  /** A few tokens behind those: of the known prompt, and of this one. */
  readonly known: TokensJson
  readonly prompt: TokensJson
}

interface TokensJson {
  readonly ids: readonly number[]
  readonly text: string
}

/** Whether a request asks for the explanation. */
export function explainsCache(headers: Headers): boolean {
  return ["1", "true"].includes(headers.get(HEADER) ?? "")
}

/** A sentence, with counts and nothing of the conversation. */
function reasonOf({ nearest }: CacheReport, { tokens, cachedTokens }: ReadPrompt): string {
  if (nearest === undefined) return "nothing that is known begins as this prompt does"
  const { shared, known, tier } = nearest
  if (shared >= tokens.length - 1 && cachedTokens >= tokens.length - 1)
    return "the prompt was known as a whole; its last token is read for the answer"
  if (cachedTokens === shared)
    return "the prompt goes on from all that it shares with what is known"
  const isWholeState = tier === "disk" && known.length === 0
  return isWholeState
    ? `the state on disk behind token ${shared} was not loaded: reading is faster, or it is damaged`
    : `the prompt leaves what is known behind token ${shared}, and the last state before that is ` +
        `behind token ${cachedTokens}`
}

/**
 * A sentence for the log about a prompt of which much was read again. Undefined: what is known
 * shares little more with it than was cached.
 */
export function missReason(report: CacheReport, prompt: ReadPrompt): string | undefined {
  const again = (report.nearest?.shared ?? 0) - prompt.cachedTokens
  if (again <= MANY_TOKENS) return undefined
  return `${again} known tokens were read again: ${reasonOf(report, prompt)}`
}

function bytesOf(tokens: readonly number[], count: number, tokenizer: Tokenizer): number {
  let bytes = 0
  for (let at = 0; at < count; at++) bytes += tokenizer.tokenBytes(tokens[at] ?? 0).length
  return bytes
}

/**
 * @param isPrivate others use the server too: nothing is told of what they asked, not even how much
 *   of it this prompt begins with
 */
export function cacheExplanation(
  report: CacheReport,
  prompt: ReadPrompt,
  tokenizer: Tokenizer,
  isPrivate: boolean,
): CacheExplanation {
  const { source, nearest } = report
  const { tokens, cachedTokens } = prompt
  const facts = { source, cached_tokens: cachedTokens }
  if (isPrivate) {
    const reason = "several API keys are set: nothing is told of what is known"
    return { ...facts, reason, nearest: null }
  }
  const reason = reasonOf(report, prompt)
  if (nearest === undefined) return { ...facts, reason, nearest: null }
  const textOf = (ids: readonly number[]): TokensJson => ({ ids, text: tokenizer.decode(ids) })
  const { tier, shared, known, prompted } = nearest
  return {
    ...facts,
    reason,
    nearest: {
      source: tier,
      shared_tokens: shared,
      byte_offset: bytesOf(tokens, shared, tokenizer),
      known: textOf(known),
      prompt: textOf(prompted),
    },
  }
}
