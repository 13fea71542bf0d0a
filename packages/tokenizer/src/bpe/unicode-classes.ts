// One byte of class bits per code point, from the runtime's own Unicode tables. The basic plane is
// filled at load (a few milliseconds), the sixteen others when a character of theirs is first seen.
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
const WHITE_SPACE =
  "\\u0009-\\u000d\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"

const RULES: readonly (readonly [RegExp, number])[] = [
  [/[\p{L}\p{M}]+/gu, WORD],
  [/\p{N}+/gu, NUMBER],
  [/[\p{P}\p{S}]+/gu, PUNCTUATION],
  [new RegExp(`[${WHITE_SPACE}]+`, "gu"), SPACE],
]

/**
 * Every code point of one plane in order, as UTF-16; surrogates, which are no characters, as NUL.
 */
const planeText = (plane: number): string => {
  const units = new Uint16Array(plane === 0 ? PLANE : PLANE * 2)
  for (let low = 0; low < PLANE; low++) {
    if (plane === 0) {
      units[low] = low >= 0xd800 && low <= 0xdfff ? 0 : low
      continue
    }
    const offset = (plane - 1) * PLANE + low
    units[low * 2] = 0xd800 + (offset >> 10)
    units[low * 2 + 1] = 0xdc00 + (offset & 0x3ff)
  }
  return Buffer.from(units.buffer).toString("utf16le")
}

const planeClasses = (plane: number): Uint8Array => {
  const classes = new Uint8Array(PLANE)
  const text = planeText(plane)
  const width = plane === 0 ? 1 : 2
  for (const [pattern, bit] of RULES) {
    for (const match of text.matchAll(pattern)) {
      classes.fill(bit, match.index / width, (match.index + match[0].length) / width)
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
