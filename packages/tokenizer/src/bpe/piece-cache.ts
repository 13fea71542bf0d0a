// Caches the ids of short pieces by their UTF-16 units. A lookup makes no substring, and no key
// keeps a caller's text alive. All data lies in fixed arrays; when one is full, the cache is
// emptied.
const SLOTS = 1 << 17
const ENTRIES = 1 << 16
const KEY_UNITS = 1 << 20
const IDS = 1 << 18

/** Longer pieces are rare and seldom repeat. */
export const MAX_CACHED_UNITS = 32

export class PieceCache {
  private readonly slots = new Int32Array(SLOTS) // entry + 1, or 0 when free
  // [entry] the next entry's begin is this one's end
  private readonly keyBegin = new Int32Array(ENTRIES + 1)
  private readonly idBegin = new Int32Array(ENTRIES + 1)
  private readonly keys = new Uint16Array(KEY_UNITS)
  private readonly ids = new Int32Array(IDS)
  private entries = 0

  private hash(text: string, begin: number, end: number): number {
    let hash = end - begin
    for (let i = begin; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    return (hash ^ (hash >>> 15)) & (SLOTS - 1)
  }

  private matches(entry: number, text: string, begin: number, end: number): boolean {
    let key = this.keyBegin[entry] as number // entry < entries
    if ((this.keyBegin[entry + 1] as number) - key !== end - begin) return false
    for (let i = begin; i < end; i++) if (this.keys[key++] !== text.charCodeAt(i)) return false
    return true
  }

  private slotOf(text: string, begin: number, end: number): number {
    let slot = this.hash(text, begin, end)
    for (;;) {
      const entry = (this.slots[slot] as number) - 1 // slot is masked
      if (entry < 0 || this.matches(entry, text, begin, end)) return slot
      slot = (slot + 1) & (SLOTS - 1)
    }
  }

  /** Appends the ids of text[begin, end) to `out` when they are known. */
  append(text: string, begin: number, end: number, out: number[]): boolean {
    const entry = (this.slots[this.slotOf(text, begin, end)] as number) - 1
    if (entry < 0) return false
    const idEnd = this.idBegin[entry + 1] as number // entry < entries
    for (let i = this.idBegin[entry] as number; i < idEnd; i++) out.push(this.ids[i] as number)
    return true
  }

  /**
   * Remembers symbols[0, count) for text[begin, end), at most MAX_CACHED_UNITS long and not yet
   * known.
   */
  insert(text: string, begin: number, end: number, symbols: Int32Array, count: number): void {
    let key = this.keyBegin[this.entries] as number // entries <= ENTRIES
    let id = this.idBegin[this.entries] as number
    if (this.entries === ENTRIES || key + end - begin > KEY_UNITS || id + count > IDS) {
      this.slots.fill(0)
      this.entries = key = id = 0
    }
    this.slots[this.slotOf(text, begin, end)] = this.entries + 1
    for (let i = begin; i < end; i++) this.keys[key++] = text.charCodeAt(i)
    for (let i = 0; i < count; i++) this.ids[id++] = symbols[i] as number
    this.entries++
    this.keyBegin[this.entries] = key
    this.idBegin[this.entries] = id
  }
}
