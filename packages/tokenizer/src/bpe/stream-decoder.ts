// Decodes token bytes to text as they arrive. A split before a lead byte never changes how UTF-8
// decodes. Text is therefore held back from the last unfinished lead byte on.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** All bytes at once; every ill-formed sequence becomes U+FFFD. */
export const decodeUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes)

/** How many bytes at the end (0 to 3) begin a character that is not complete. */
const unfinishedTail = (bytes: Uint8Array): number => {
  const limit = Math.min(3, bytes.length)
  for (let tail = 1; tail <= limit; tail++) {
    const byte = bytes[bytes.length - tail] as number // tail <= length
    if (byte < 0x80) return 0
    if (byte < 0xc0) continue
    const needed = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
    return needed > tail ? tail : 0
  }
  return 0
}

export class StreamDecoder {
  private held = new Uint8Array(0)

  /** @param tokenBytes the bytes of one id; throws for an id the vocabulary does not have */
  constructor(private readonly tokenBytes: (id: number) => Uint8Array) {}

  /** The text that the token completes; empty while a character is still unfinished. */
  push(id: number): string {
    const arrived = this.tokenBytes(id)
    let bytes = arrived
    if (this.held.length > 0) {
      bytes = new Uint8Array(this.held.length + arrived.length)
      bytes.set(this.held)
      bytes.set(arrived, this.held.length)
    }
    const tail = unfinishedTail(bytes)
    this.held = bytes.slice(bytes.length - tail)
    return decodeUtf8(bytes.subarray(0, bytes.length - tail))
  }

  /** Ends a turn: U+FFFD for an unfinished character, else nothing. */
  flush(): string {
    const text = decodeUtf8(this.held)
    this.held = new Uint8Array(0)
    return text
  }
}
