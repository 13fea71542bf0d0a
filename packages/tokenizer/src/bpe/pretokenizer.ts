// The three isolating splits of the family as one forward scan.
//   P1 \p{N}{1,3}   P2 runs of the CJK ranges   P3 words, punctuation and white space
// Each split works on the pieces left by the one before. For P3, a number or the edge of a CJK run
// ends the text, and white space before either is taken whole. P3 also cuts CJK runs: their class
// bits are a set of their own. A test compares the scan with the regular expressions.
import {
  BASIC_PLANE,
  CJK_OTHER,
  CJK_PUNCTUATION,
  CJK_WORD,
  NEWLINE,
  NUMBER,
  PUNCTUATION,
  SPACE,
  WORD,
  classOfSupplementary,
} from "./unicode-classes.ts"

/**
 * The patterns as regular-expression source, in order; a vocabulary file must name exactly these.
 */
export const SPLIT_PATTERNS: readonly string[] = [
  "\\p{N}{1,3}",
  "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|" +
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|" +
    " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
]

const CJK = CJK_WORD | CJK_PUNCTUATION | CJK_OTHER

const isSurrogate = (unit: number): boolean => (unit & 0xf800) === 0xd800

/** Class bits of the character at `index`; 0 at and after the end. */
const classAt = (text: string, index: number): number => {
  if (index >= text.length) return 0
  const unit = text.charCodeAt(index)
  if (!isSurrogate(unit)) return BASIC_PLANE[unit] as number
  return classOfSupplementary(text.codePointAt(index) as number) // index is inside the text
}

const widthAt = (text: string, index: number): number =>
  isSurrogate(text.charCodeAt(index)) ? 2 : 1

/** End of the run of characters that have a bit of `mask`, starting at `index`. */
const runEnd = (text: string, index: number, mask: number): number => {
  while (index < text.length) {
    const unit = text.charCodeAt(index)
    if (!isSurrogate(unit)) {
      if (((BASIC_PLANE[unit] as number) & mask) === 0) return index
      index++
    } else {
      if ((classAt(text, index) & mask) === 0) return index
      index += 2
    }
  }
  return index
}

const numberEnd = (text: string, index: number): number => {
  for (let digits = 0; digits < 3 && (classAt(text, index) & NUMBER) !== 0; digits++)
    index += widthAt(text, index)
  return index
}

const punctuationEnd = (text: string, index: number): number =>
  runEnd(text, runEnd(text, index, PUNCTUATION), NEWLINE)

/**
 * A run of white space: to its last newline; else all of it before a cut; else all but its last
 * character.
 */
const spaceEnd = (text: string, begin: number): number => {
  let end = begin
  let afterNewline = begin
  for (; end < text.length; end++) {
    const bits = BASIC_PLANE[text.charCodeAt(end)] as number
    if ((bits & SPACE) === 0) break
    if ((bits & NEWLINE) !== 0) afterNewline = end + 1
  }
  if (afterNewline > begin) return afterNewline
  if (end === text.length || (classAt(text, end) & (NUMBER | CJK)) !== 0) return end
  return end - begin > 1 ? end - 1 : end
}

/**
 * Characters no pattern matches stay together until one that can be matched, or that a word can
 * begin with.
 * @param unmatched the class value such characters have here: 0, or CJK_OTHER inside a CJK run
 */
const unmatchedEnd = (text: string, index: number, unmatched: number, word: number): number => {
  while (index < text.length && classAt(text, index) === unmatched) {
    const next = index + widthAt(text, index)
    if ((classAt(text, next) & word) !== 0) return index
    index = next
  }
  return index
}

/**
 * A CJK run holds letters, marks, punctuation and three unassigned code points, all one UTF-16 unit
 * wide.
 */
const cjkEnd = (text: string, begin: number, bits: number): number => {
  if (bits !== CJK_OTHER) return runEnd(text, begin, bits)
  if (classAt(text, begin + 1) === CJK_WORD) return runEnd(text, begin + 1, CJK_WORD)
  return unmatchedEnd(text, begin + 1, CJK_OTHER, CJK_WORD)
}

const isAsciiLetter = (unit: number): boolean => ((unit | 0x20) - 0x61) >>> 0 < 26

const asciiLettersEnd = (text: string, index: number): number => {
  while (index < text.length && isAsciiLetter(text.charCodeAt(index))) index++
  return index
}

/**
 * End (exclusive, UTF-16 units) of the piece that starts at `begin`.
 * @param text well-formed UTF-16; `begin` must be a piece boundary below `text.length`
 */
export const pieceEnd = (text: string, begin: number): number => {
  const bits = classAt(text, begin)
  if ((bits & WORD) !== 0) return runEnd(text, begin, WORD)
  if ((bits & NUMBER) !== 0) return numberEnd(text, begin)
  if ((bits & CJK) !== 0) return cjkEnd(text, begin, bits)
  const unit = text.charCodeAt(begin)
  const next = begin + widthAt(text, begin)
  if ((bits & PUNCTUATION) !== 0) {
    const wordEnd = unit < 0x80 ? asciiLettersEnd(text, next) : next
    return wordEnd > next ? wordEnd : punctuationEnd(text, begin)
  }
  const nextBits = classAt(text, next)
  if ((bits & NEWLINE) === 0 && (nextBits & WORD) !== 0) return runEnd(text, next, WORD)
  if ((bits & SPACE) !== 0) {
    if (unit === 0x20 && (nextBits & PUNCTUATION) !== 0) return punctuationEnd(text, next)
    return spaceEnd(text, begin)
  }
  return unmatchedEnd(text, next, 0, WORD)
}

/** The pieces of a text; concatenated they are the text. */
export const splitPieces = (text: string): string[] => {
  const pieces: string[] = []
  for (let begin = 0; begin < text.length; ) {
    const end = pieceEnd(text, begin)
    pieces.push(text.slice(begin, end))
    begin = end
  }
  return pieces
}
