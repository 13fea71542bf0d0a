import { CODE_POINT_OF_BYTE } from "./byte-map.ts"
import { MergeTable } from "./merge-table.ts"
import { SymbolMerger } from "./merge-symbols.ts"
import { MAX_CACHED_UNITS, PieceCache } from "./piece-cache.ts"
import { pieceEnd } from "./pretokenizer.ts"
import type { Vocabulary } from "./vocabulary.ts"

/** Room for a larger piece is given back after it. */
const KEPT_SYMBOLS = 1 << 18

/** UTF-8 length of text[begin, end), which is well-formed. */
const utf8Bytes = (text: string, begin: number, end: number): number => {
  let bytes = 0
  for (let i = begin; i < end; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) bytes += 1
    else if (unit < 0x800 || (unit & 0xf800) === 0xd800)
      bytes += 2 // half of a pair: four bytes for both
    else bytes += 3
  }
  return bytes
}

/** Plain text to ids: pieces, bytes, merges. Knows no control token and can produce none. */
export class BpeEncoder {
  private readonly idOfByte: Int32Array // [256]
  private readonly merger: SymbolMerger
  private readonly cache = new PieceCache()
  private symbols = new Int32Array(MAX_CACHED_UNITS * 3)

  constructor(vocabulary: Vocabulary) {
    this.idOfByte = Int32Array.from(CODE_POINT_OF_BYTE, (codePoint) => {
      const id = vocabulary.ids.get(String.fromCodePoint(codePoint))
      if (id === undefined) throw new Error("buildVocabulary let a missing byte pass")
      return id
    })
    this.merger = new SymbolMerger(new MergeTable(vocabulary.merges))
  }

  /**
   * Appends the ids of `text` to `out`. Lone surrogates, which no UTF-8 can spell, count as U+FFFD.
   */
  append(text: string, out: number[]): void {
    const wellFormed = text.isWellFormed() ? text : text.toWellFormed()
    for (let begin = 0; begin < wellFormed.length; ) {
      const end = pieceEnd(wellFormed, begin)
      if (end - begin > MAX_CACHED_UNITS) this.appendLong(wellFormed, begin, end, out)
      else if (!this.cache.append(wellFormed, begin, end, out))
        this.appendNew(wellFormed, begin, end, out)
      begin = end
    }
  }

  private appendNew(text: string, begin: number, end: number, out: number[]): void {
    const count = this.mergePiece(text, begin, end)
    this.cache.insert(text, begin, end, this.symbols, count)
    for (let i = 0; i < count; i++) out.push(this.symbols[i] as number)
  }

  private appendLong(text: string, begin: number, end: number, out: number[]): void {
    const bytes = utf8Bytes(text, begin, end)
    if (this.symbols.length < bytes) this.symbols = new Int32Array(bytes)
    const count = this.mergePiece(text, begin, end)
    for (let i = 0; i < count; i++) out.push(this.symbols[i] as number)
    if (bytes > KEPT_SYMBOLS) this.symbols = new Int32Array(MAX_CACHED_UNITS * 3)
  }

  private mergePiece(text: string, begin: number, end: number): number {
    return this.merger.merge(this.symbols, this.fillSymbols(text, begin, end))
  }

  /**
   * The single-byte tokens of text[begin, end) as UTF-8; returns their number. `symbols` has room
   * for them.
   */
  private fillSymbols(text: string, begin: number, end: number): number {
    const { symbols, idOfByte } = this
    let count = 0
    for (let i = begin; i < end; i++) {
      let code = text.charCodeAt(i)
      if (code < 0x80) {
        symbols[count++] = idOfByte[code] as number // a byte
        continue
      }
      if (code < 0x800) {
        symbols[count++] = idOfByte[0xc0 | (code >> 6)] as number
      } else {
        if ((code & 0xf800) === 0xd800) {
          code = text.codePointAt(i++) as number // a well-formed pair inside the text
          symbols[count++] = idOfByte[0xf0 | (code >> 18)] as number
          symbols[count++] = idOfByte[0x80 | ((code >> 12) & 0x3f)] as number
        } else {
          symbols[count++] = idOfByte[0xe0 | (code >> 12)] as number
        }
        symbols[count++] = idOfByte[0x80 | ((code >> 6) & 0x3f)] as number
      }
      symbols[count++] = idOfByte[0x80 | (code & 0x3f)] as number
    }
    return count
  }
}
