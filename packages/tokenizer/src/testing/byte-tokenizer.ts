// A small byte-level vocabulary: all bytes, the control tokens of chat, and merges that reach
// across spaces, line feeds, digits and punctuation.
import { buildVocabulary } from "../bpe/vocabulary.ts"
import { KNOWN_SPECIALS, REQUIRED_SPECIALS } from "../special-tokens.ts"
import { createTokenizer, type Tokenizer } from "../tokenizer.ts"

/** Control tokens that stand behind all others: those no chat needs, and two of older models. */
const RARE_SPECIALS = [
  ...KNOWN_SPECIALS.filter((text) => !REQUIRED_SPECIALS.includes(text)),
  "<\uff5ctool\u2581calls\u2581begin\uff5c>",
  "<|EOT|>",
]

const MERGES: [string, string][] = [
  ["Ġ", "t"],
  ["h", "e"],
  ["Ġt", "he"],
  ["i", "n"],
  ["in", "g"],
  ["Ċ", "Ċ"],
  ["Ġ", "Ġ"],
  ["ĠĠ", "ĠĠ"],
  [".", "Ċ"],
  ["1", "2"],
  ["12", "3"],
  ["Ġ", "a"],
  ["a", "n"],
  ["n", "d"],
  ["Ġa", "nd"],
  ["Ċ", "Ġ"],
  ["{", "Ċ"],
  ["Ġ", "{"],
  ["o", "r"],
  ["Ġ", "w"],
  ["Ġw", "or"],
  ["e", "r"],
  ["l", "l"],
  ["<", "/"],
  ["t", "o"],
  ["to", "o"],
  ["too", "l"],
]

/** The printable byte alphabet of byte-level BPE. */
function mappedBytes(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    return String.fromCodePoint(isPrintable ? byte : next++)
  })
}

export function byteTokenizer(): Tokenizer {
  const merged = MERGES.map(([left, right]) => left + right)
  const tokens = [...REQUIRED_SPECIALS, ...mappedBytes(), ...merged, ...RARE_SPECIALS]
  const special = new Map(
    [...REQUIRED_SPECIALS, ...RARE_SPECIALS].map((text) => [text, tokens.indexOf(text)]),
  )
  return createTokenizer(
    buildVocabulary({ tokens, special, merges: MERGES, bos: 0, eos: 1, origin: "test vocabulary" }),
  )
}
