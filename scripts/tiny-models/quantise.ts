// Stored types of the tiny models' weights. FP8 is E4M3 with a scale per block of 128 x 128, FP4 is
// E2M1 with a scale per 32 columns. Scales are E8M0: powers of two, one byte.

const EXPONENT = new Float64Array(1)
const EXPONENT_WORDS = new Uint32Array(EXPONENT.buffer)

/** floor(log2(value)) of a positive normal double. */
function exponentOf(value: number): number {
  EXPONENT[0] = value
  return ((EXPONENT_WORDS[1] ?? 0) >>> 20) - 1023
}

/** The smallest power of two by which values up to `peak` become at most `largest`. */
function scaleExponent(peak: number, largest: number): number {
  const ratio = peak / largest
  const exponent = exponentOf(ratio)
  return ratio === 2 ** exponent ? exponent : exponent + 1
}

/** BF16 bits, rounded to nearest even from f32. */
export function bf16Bits(values: Float64Array): Uint16Array {
  const bits = new Uint32Array(Float32Array.from(values).buffer)
  return Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16)
}

/** E4M3 code of a magnitude up to 448; halves round up. */
function e4m3Code(magnitude: number): number {
  const exponent = magnitude < 2 ** -6 ? -6 : exponentOf(magnitude)
  return Math.floor(magnitude * 2 ** (3 - exponent) + 0.5) + (exponent + 6) * 8
}

/** E2M1 code of a magnitude up to 6; halves round up. */
function e2m1Code(magnitude: number): number {
  if (magnitude < 1.75) return Math.floor(magnitude * 2 + 0.5)
  if (magnitude < 2.5) return 4
  return magnitude < 3.5 ? 5 : magnitude < 5 ? 6 : 7
}

interface Quantised {
  readonly codes: Uint8Array
  readonly scales: Uint8Array
}

const FP8_BLOCK = 128

/** `[rows, columns]` as E4M3 codes `[rows, columns]` and scales `[rows / 128, columns / 128]`. */
export function quantiseFp8(values: Float64Array, rows: number, columns: number): Quantised {
  const codes = new Uint8Array(rows * columns)
  const perRow = columns / FP8_BLOCK
  const scales = new Uint8Array((rows / FP8_BLOCK) * perRow)
  for (let block = 0; block < scales.length; block++) {
    const begin = Math.floor(block / perRow) * FP8_BLOCK * columns + (block % perRow) * FP8_BLOCK
    let peak = 0
    const each = (visit: (index: number) => void): void => {
      for (let row = 0; row < FP8_BLOCK; row++)
        for (let column = 0; column < FP8_BLOCK; column++) visit(begin + row * columns + column)
    }
    each((index) => (peak = Math.max(peak, Math.abs(values[index] ?? 0))))
    const exponent = scaleExponent(peak, 448)
    scales[block] = exponent + 127
    const factor = 2 ** -exponent
    each((index) => {
      const value = (values[index] ?? 0) * factor
      codes[index] = e4m3Code(Math.abs(value)) | (value < 0 ? 0x80 : 0)
    })
  }
  return { codes, scales }
}

const FP4_GROUP = 32

/** `[rows, columns]` as E2M1 codes, the even column in the low half of a byte, and group scales. */
export function quantiseFp4(values: Float64Array): Quantised {
  const codes = new Uint8Array(values.length / 2)
  const scales = new Uint8Array(values.length / FP4_GROUP)
  for (let group = 0; group < scales.length; group++) {
    const begin = group * FP4_GROUP
    let peak = 0
    for (let at = begin; at < begin + FP4_GROUP; at++)
      peak = Math.max(peak, Math.abs(values[at] ?? 0))
    const exponent = scaleExponent(peak, 6)
    scales[group] = exponent + 127
    const factor = 2 ** -exponent
    for (let at = begin; at < begin + FP4_GROUP; at++) {
      const value = (values[at] ?? 0) * factor
      const code = e2m1Code(Math.abs(value)) | (value < 0 ? 8 : 0)
      codes[at >>> 1] = (codes[at >>> 1] ?? 0) | (at % 2 === 0 ? code : code << 4)
    }
  }
  return { codes, scales }
}
