// One byte of class bits per code point, from frozen ranges. The basic plane is filled at load, the
// sixteen others when a character of theirs is first seen.
import {
  LETTERS_AND_MARKS,
  NUMBERS,
  PUNCTUATION_AND_SYMBOLS,
  WHITE_SPACE,
} from "./unicode-ranges.ts"

/** General categories L and M together: the patterns treat them alike. */
export const WORD = 1
export const NUMBER = 2
/** General categories P and S together. */
export const PUNCTUATION = 4
/** White_Space, the two newline characters included. U+FEFF is not White_Space. */
export const SPACE = 8
/** CR and LF, in addition to SPACE. */
export const NEWLINE = 16
/**
 * Characters of the CJK ranges U+4E00-9FA5 and U+3040-30FF carry one of these three bits and no
 * other.
 */
export const CJK_WORD = 32
export const CJK_PUNCTUATION = 64
export const CJK_OTHER = 128

const PLANE = 0x10000

/** Ranges of one class in order: first code point, end (exclusive), and so on. */
const rangesOf = (list: string): number[] => {
  let end = 0
  return list.split(" ").map((number) => (end += Number.parseInt(number, 36)))
}

const CLASSES = [
  { bit: WORD, ranges: rangesOf(LETTERS_AND_MARKS) },
  { bit: NUMBER, ranges: rangesOf(NUMBERS) },
  { bit: PUNCTUATION, ranges: rangesOf(PUNCTUATION_AND_SYMBOLS) },
  { bit: SPACE, ranges: rangesOf(WHITE_SPACE) },
]

const planeClasses = (plane: number): Uint8Array => {
  const classes = new Uint8Array(PLANE)
  const offset = plane * PLANE
  for (const { bit, ranges } of CLASSES) {
    for (let index = 0; index < ranges.length; index += 2) {
      const first = Math.max(0, (ranges[index] as number) - offset) // index is in range
      const end = Math.min(PLANE, (ranges[index + 1] as number) - offset) // of an even length
      if (first < end) classes.fill(bit, first, end)
    }
  }
  return classes
}

const CJK_RANGES = [
  [0x4e00, 0x9fa5],
  [0x3040, 0x30ff],
] as const

const cjkBits = (bits: number): number => {
  if (bits === WORD) return CJK_WORD
  return bits === PUNCTUATION ? CJK_PUNCTUATION : CJK_OTHER
}

/** Class bits of the basic plane, [65536], indexed by UTF-16 unit. */
export const BASIC_PLANE: Uint8Array = (() => {
  const classes = planeClasses(0)
  for (const [first, last] of CJK_RANGES) {
    for (let unit = first; unit <= last; unit++) {
      const bits = classes[unit] as number // unit is below 65536
      if (bits !== NUMBER) classes[unit] = cjkBits(bits)
    }
  }
  classes[0x0a] = classes[0x0d] = SPACE | NEWLINE
  return classes
})()

const higherPlanes: (Uint8Array | undefined)[] = []

/** Class bits of a code point above U+FFFF. */
export const classOfSupplementary = (codePoint: number): number => {
  const plane = codePoint >> 16
  const classes = (higherPlanes[plane] ??= planeClasses(plane))
  return classes[codePoint & 0xffff] as number // the index is below 65536
}

/** Whether a UTF-16 unit is a letter or mark outside the CJK ranges; half of a pair is none. */
export const isWordUnit = (unit: number): boolean => ((BASIC_PLANE[unit] as number) & WORD) !== 0
