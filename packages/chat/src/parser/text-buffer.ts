/** Text that has arrived and is not decided yet. */
export class TextBuffer {
  text = ""
  /** Everything that was taken since the owner last cleared it. */
  taken = ""
  /** Units that were ever taken. */
  total = 0

  append(text: string): void {
    this.text += text
  }

  /** The same for plain text, which ends what was taken before. */
  takeText(units: number): string {
    const piece = this.text.slice(0, units)
    this.text = this.text.slice(units)
    this.taken = ""
    this.total += piece.length
    return piece
  }

  /** Removes and returns the first `units` units. */
  take(units: number): string {
    const piece = this.text.slice(0, units)
    this.text = this.text.slice(units)
    this.taken += piece
    this.total += piece.length
    return piece
  }
}
