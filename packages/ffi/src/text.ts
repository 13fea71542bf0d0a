/**
 * A C string as an argument. A NUL inside would silently end it, so it is refused.
 * @throws RangeError
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new RangeError(`${JSON.stringify(text)} contains a NUL character`)
  return new TextEncoder().encode(`${text}\0`)
}

/**
 * Text from a C function that fills a buffer, at most its size with a NUL, and returns the bytes it
 * needs, the NUL included. 0 means that there is none.
 */
export function readText(fill: (buffer: Uint8Array, capacity: number) => number | bigint): string {
  let buffer = new Uint8Array(4096)
  let needed = Number(fill(buffer, buffer.length))
  while (needed > buffer.length) {
    buffer = new Uint8Array(needed)
    needed = Number(fill(buffer, buffer.length))
  }
  return new TextDecoder().decode(buffer.subarray(0, Math.max(0, needed - 1)))
}
