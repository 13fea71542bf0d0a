// A small byte-level vocabulary: all bytes, the control tokens of chat, and merges that reach
// across spaces, line feeds, digits and punctuation.
import { buildVocabulary } from "../bpe/vocabulary.ts"
import { createTokenizer, type Tokenizer } from "../tokenizer.ts"

const BAR = "\uff5c"
const SPECIALS = [
  `<${BAR}begin\u2581of\u2581sentence${BAR}>`,
  `<${BAR}end\u2581of\u2581sentence${BAR}>`,
  `<${BAR}User${BAR}>`,
  `<${BAR}Assistant${BAR}>`,
  "<think>",
  "</think>",
  `${BAR}DSML${BAR}`,
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
  const tokens = [...SPECIALS, ...mappedBytes(), ...MERGES.map(([left, right]) => left + right)]
  const special = new Map(SPECIALS.map((text, id) => [text, id]))
  return createTokenizer(
    buildVocabulary({ tokens, special, merges: MERGES, bos: 0, eos: 1, origin: "test vocabulary" }),
  )
}
