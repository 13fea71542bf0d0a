import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { outputTarget } from "@ds4/model-file"

const LIMIT = 2000

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r")
}

function unescape(line: string): string {
  return line.replace(/\\(.)/g, (_, character: string) =>
    character === "n" ? "\n" : character === "r" ? "\r" : character,
  )
}

/** Entries typed before, the newest last: one escaped entry a line, readable by its owner only. */
export class History {
  readonly entries: string[]

  constructor(private readonly path: string) {
    this.entries = existsSync(path)
      ? readFileSync(path, "utf8").split("\n").filter(Boolean).map(unescape).slice(-LIMIT)
      : []
  }

  /** Keeps an entry, unless it begins with a space or repeats the last one. */
  add(text: string): void {
    if (text.trim() === "" || text.startsWith(" ") || text === this.entries.at(-1)) return
    this.entries.push(text)
    if (this.entries.length > LIMIT) this.entries.splice(0, this.entries.length - LIMIT)
    this.save()
  }

  /** The newest entry before `before` that contains the text. */
  search(text: string, before = this.entries.length): number {
    for (let index = Math.min(before, this.entries.length) - 1; index >= 0; index--) {
      if (this.entries[index]?.includes(text) === true) return index
    }
    return -1
  }

  private save(): void {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 })
    const text = `${this.entries.map(escape).join("\n")}\n`
    const target = outputTarget(this.path, true)
    if (target.kind !== "file") {
      writeFileSync(this.path, text) // a link to /dev/null keeps nothing, and stays
      return
    }
    const partial = `${target.path}.${process.pid}`
    writeFileSync(partial, text, { mode: 0o600 })
    chmodSync(partial, 0o600)
    renameSync(partial, target.path)
  }
}
