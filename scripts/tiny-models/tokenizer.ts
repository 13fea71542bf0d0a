// The vocabulary of models/tiny has 512 entries: 15 control tokens, 256 bytes and the merges that
// text.ts gives.
import { CODE_POINT_OF_BYTE, SPLIT_PATTERNS } from "@ds4/tokenizer"
import { LATEST_REMINDER, REQUIRED_SPECIALS, TASKS, taskToken } from "@ds4/tokenizer/special-tokens"
import { TINY_MODEL_TEXT } from "./text.ts"

/** vocab_size of models/tiny/config.json. */
const VOCABULARY = 512

/** Ids in order: BOS and EOS are 0 and 1, as in the published vocabulary. */
const CONTROL_TOKENS = [...REQUIRED_SPECIALS, LATEST_REMINDER, ...TASKS.map(taskToken)]

/**
 * The text's pieces after the three isolating splits, each as byte-mapped symbols, with how often
 * they occur.
 */
function countedPieces(text: string): { symbols: string[]; count: number }[] {
  let pieces = [text]
  for (const pattern of SPLIT_PATTERNS)
    pieces = pieces.flatMap((piece) => isolate(piece, new RegExp(pattern, "gu")))
  const counts = new Map<string, number>()
  for (const piece of pieces) counts.set(piece, (counts.get(piece) ?? 0) + 1)
  const mapped = (byte: number): string => String.fromCodePoint(CODE_POINT_OF_BYTE[byte] ?? 0)
  return [...counts].map(([piece, count]) => ({
    symbols: [...new TextEncoder().encode(piece)].map(mapped),
    count,
  }))
}

function isolate(text: string, pattern: RegExp): string[] {
  const pieces: string[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    pieces.push(text.slice(end, match.index), match[0])
    end = match.index + match[0].length
  }
  return [...pieces, text.slice(end)].filter((piece) => piece !== "")
}

/**
 * Merges by the usual rule: the most frequent pair next; of equal ones the first in code unit
 * order.
 */
function learnMerges(text: string, wanted: number): [string, string][] {
  const pieces = countedPieces(text)
  const merges: [string, string][] = []
  while (merges.length < wanted) {
    const best = mostFrequentPair(pieces)
    if (best === undefined)
      throw new Error(`the text gives only ${merges.length} of ${wanted} merges; make it longer`)
    merges.push(best)
    for (const piece of pieces) piece.symbols = merged(piece.symbols, best)
  }
  return merges
}

const SEPARATOR = " " // no byte-mapped symbol contains a space

function mostFrequentPair(
  pieces: readonly { symbols: string[]; count: number }[],
): [string, string] | undefined {
  const counts = new Map<string, number>()
  for (const { symbols, count } of pieces) {
    for (let i = 1; i < symbols.length; i++) {
      const pair = `${symbols[i - 1]}${SEPARATOR}${symbols[i]}`
      counts.set(pair, (counts.get(pair) ?? 0) + count)
    }
  }
  let best: string | undefined
  let most = 1 // a pair that occurs once is no pattern
  for (const [pair, count] of counts) {
    if (count > most || (count === most && best !== undefined && pair < best))
      [best, most] = [pair, count]
  }
  const [left, right] = best?.split(SEPARATOR) ?? []
  return left === undefined || right === undefined ? undefined : [left, right]
}

function merged(symbols: readonly string[], [left, right]: readonly [string, string]): string[] {
  const result: string[] = []
  for (let i = 0; i < symbols.length; i++) {
    const symbol = symbols[i] ?? ""
    if (symbol === left && symbols[i + 1] === right) {
      result.push(left + right)
      i++
    } else result.push(symbol)
  }
  return result
}

/** The text of tokenizer.json, the same on every machine. */
export function tinyTokenizerJson(): string {
  const bytes = CODE_POINT_OF_BYTE.map((codePoint) => String.fromCodePoint(codePoint))
  const merges = learnMerges(TINY_MODEL_TEXT, VOCABULARY - CONTROL_TOKENS.length - bytes.length)
  const entries = [...bytes, ...merges.map(([left, right]) => left + right)]
  if (new Set(entries).size !== entries.length) throw new Error("two merges give the same entry")
  const split = (pattern: string): object => ({
    type: "Split",
    pattern: { Regex: pattern },
    behavior: "Isolated",
    invert: false,
  })
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  }
  const document = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: CONTROL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: "Sequence", normalizers: [] },
    pre_tokenizer: { type: "Sequence", pretokenizers: [...SPLIT_PATTERNS.map(split), byteLevel] },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(
        entries.map((entry, index) => [entry, CONTROL_TOKENS.length + index]),
      ),
      merges: merges.map(([left, right]) => `${left} ${right}`),
    },
  }
  return `${JSON.stringify(document, null, 1)}\n`
}
