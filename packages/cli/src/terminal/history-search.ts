import type { History } from "./history.ts"
import type { Key } from "./keys.ts"

/** Ctrl+R: searches backwards while the person types. */
export class HistorySearch {
  found: string
  private wanted = ""
  private index: number

  constructor(
    private readonly history: History,
    readonly original: string,
  ) {
    this.found = original
    this.index = history.entries.length
  }

  /** "accepted-key": the search is over and the key still wants to act on what was found. */
  take(key: Key): "searching" | "accepted" | "accepted-key" | "cancelled" {
    if (key.type !== "key")
      return this.look(this.wanted + key.text.replaceAll("\n", " "), this.history.entries.length)
    if (key.name === "backspace")
      return this.look(this.wanted.slice(0, -1), this.history.entries.length)
    if (key.name === "ctrl-r") return this.look(this.wanted, this.index)
    if (key.name === "ctrl-g" || key.name === "ctrl-c") return "cancelled"
    if (key.name === "escape") return "accepted"
    return "accepted-key"
  }

  /** The line that the prompt shows meanwhile. */
  view(): { text: string; cursor: number; prompt: string } {
    return {
      text: this.found,
      cursor: Math.max(0, this.found.indexOf(this.wanted)),
      prompt: `(search: ${this.wanted}) `,
    }
  }

  private look(wanted: string, before: number): "searching" {
    this.wanted = wanted
    const index = this.history.search(wanted, before)
    if (index !== -1) {
      this.index = index
      this.found = this.history.entries[index] ?? ""
    }
    return "searching"
  }
}
