/**
 * Finds control strings in text that is allowed to hold them: leftmost first, the longest at one
 * place.
 */
export class SpecialSplitter {
  private readonly firstUnits: RegExp | undefined
  private readonly lengths: readonly number[]

  constructor(private readonly special: ReadonlyMap<string, number>) {
    const texts = [...special.keys()].filter((text) => text.length > 0)
    this.lengths = [...new Set(texts.map((text) => text.length))].toSorted((a, b) => b - a)
    const heads = new Set(
      texts.map((text) => `\\u${text.charCodeAt(0).toString(16).padStart(4, "0")}`),
    )
    this.firstUnits = heads.size > 0 ? new RegExp(`[${[...heads].join("")}]`, "g") : undefined
  }

  private matchAt(text: string, index: number): string | undefined {
    for (const length of this.lengths) {
      const candidate = text.slice(index, index + length)
      if (candidate.length === length && this.special.has(candidate)) return candidate
    }
    return undefined
  }

  /**
   * Calls `plain` for every stretch between control strings and `control` for each of them, in
   * order.
   */
  split(text: string, plain: (stretch: string) => void, control: (id: number) => void): void {
    let begin = 0
    if (this.firstUnits !== undefined) {
      const pattern = this.firstUnits
      pattern.lastIndex = 0
      for (let head = pattern.exec(text); head !== null; head = pattern.exec(text)) {
        const found = this.matchAt(text, head.index)
        if (found === undefined) continue
        if (head.index > begin) plain(text.slice(begin, head.index))
        control(this.special.get(found) as number) // matchAt found it there
        begin = pattern.lastIndex = head.index + found.length
      }
    }
    if (begin < text.length) plain(text.slice(begin))
  }
}
