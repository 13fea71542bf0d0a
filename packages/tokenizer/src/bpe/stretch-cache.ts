// Caches the ids of long stretches of rendered text. An agent sends its whole history on every
// turn. The stretches between control tokens are its messages, and only the last one is new.

/** Shorter text is encoded faster than it is worth remembering. */
const MIN_UNITS = 1024
/** UTF-16 units of all keys together; ids take about as much again. */
const MAX_UNITS = 16 * 2 ** 20

export class StretchCache {
  private readonly entries = new Map<string, Int32Array>() // least recently used first
  private units = 0

  /**
   * The ids of `text`, from memory or from `encode`, which appends them to the list it is given.
   */
  append(text: string, out: number[], encode: (text: string, out: number[]) => void): void {
    if (text.length < MIN_UNITS || text.length > MAX_UNITS / 4) return encode(text, out)
    const known = this.entries.get(text)
    if (known !== undefined) {
      this.entries.delete(text)
      this.entries.set(text, known)
      for (let i = 0; i < known.length; i++) out.push(known[i] as number) // i is in range
      return
    }
    const begin = out.length
    encode(text, out)
    this.entries.set(text, Int32Array.from(out.slice(begin)))
    this.units += text.length
    for (const oldest of this.entries.keys()) {
      if (this.units <= MAX_UNITS) return
      this.entries.delete(oldest)
      this.units -= oldest.length
    }
  }
}
