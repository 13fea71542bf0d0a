// Byte-level vocabularies spell each byte as one printable character: 33-126, 161-172 and 174-255
// stand for themselves, the other 68 take U+0100, U+0101, ... in increasing order (a space is
// U+0120).
const isPrintable = (byte: number): boolean =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174

/** Byte value to the code point that spells it in vocabulary strings, [256]. */
export const CODE_POINT_OF_BYTE: readonly number[] = (() => {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => (isPrintable(byte) ? byte : next++))
})()

/** The inverse: code point (below 0x144) to byte value, -1 where no byte is spelled so. */
const BYTE_OF_CODE_POINT: Int16Array = (() => {
  const inverse = new Int16Array(0x144).fill(-1)
  CODE_POINT_OF_BYTE.forEach((codePoint, byte) => (inverse[codePoint] = byte))
  return inverse
})()

/**
 * The bytes a byte-mapped vocabulary string stands for, or undefined when it holds any other
 * character.
 */
export const bytesOfMapped = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const byte = BYTE_OF_CODE_POINT[text.charCodeAt(i)] ?? -1
    if (byte < 0) return undefined
    bytes[i] = byte
  }
  return bytes
}
