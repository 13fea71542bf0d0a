/** One thing the person at the terminal did: typed text, pasted a block, or pressed a named key. */
export type Key =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "paste"; readonly text: string }
  | { readonly type: "key"; readonly name: KeyName }

export type KeyName =
  | "enter"
  | "newline"
  | "tab"
  | "escape"
  | "backspace"
  | "delete"
  | "delete-word-left"
  | "delete-word-right"
  | "left"
  | "right"
  | "up"
  | "down"
  | "home"
  | "end"
  | "word-left"
  | "word-right"
  | "page-up"
  | "page-down"
  | `ctrl-${string}`

const PASTE_BEGIN = "\x1b[200~"
const PASTE_END = "\x1b[201~"

const CONTROL: Readonly<Record<string, KeyName>> = {
  "\r": "enter",
  "\n": "newline",
  "\t": "tab",
  "\x7f": "backspace",
  "\x08": "backspace",
}

/** Escape sequences without their ESC; modifiers 3 and 5 (Alt, Ctrl) mean the word moves. */
const SEQUENCES: Readonly<Record<string, KeyName>> = {
  "[A": "up",
  "[B": "down",
  "[C": "right",
  "[D": "left",
  OA: "up",
  OB: "down",
  OC: "right",
  OD: "left",
  "[H": "home",
  "[F": "end",
  OH: "home",
  OF: "end",
  "[1~": "home",
  "[4~": "end",
  "[7~": "home",
  "[8~": "end",
  "[3~": "delete",
  "[5~": "page-up",
  "[6~": "page-down",
  "[1;5C": "word-right",
  "[1;5D": "word-left",
  "[1;3C": "word-right",
  "[1;3D": "word-left",
  b: "word-left",
  f: "word-right",
  d: "delete-word-right",
  "\x7f": "delete-word-left",
  "\x08": "delete-word-left",
  "\r": "newline",
  "\n": "newline", // Alt+Enter
  "[27;2;13~": "newline",
  "[13;2u": "newline", // Shift+Enter where the terminal reports it
}

// a control or two-letter sequence, complete or still arriving
// eslint-disable-next-line no-control-regex -- terminals send control bytes
const ESCAPE = /^\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[@-~]|[^[O])/
const PARTIAL = /^\x1b(?:\[[0-9;?]*|O)?$/ // eslint-disable-line no-control-regex -- as above

/** Turns the bytes of a terminal in raw mode into keys. Sequences may be split between chunks. */
export class KeyDecoder {
  private readonly decoder = new TextDecoder()
  private pending = ""
  private paste: string | undefined

  /** Feeds bytes; returns the keys they complete. */
  push(bytes: Uint8Array): Key[] {
    this.pending += this.decoder.decode(bytes, { stream: true })
    const keys: Key[] = []
    for (let key = this.next(); key !== undefined; key = this.next()) {
      if (key !== "consumed") keys.push(key)
    }
    return keys
  }

  /** True when an escape sequence has begun and may be a lone Escape key. */
  get isWaiting(): boolean {
    return this.paste === undefined && this.pending !== ""
  }

  /** Gives up waiting: what has arrived of a sequence was the Escape key. */
  flush(): Key[] {
    if (!this.isWaiting) return []
    this.pending = this.pending.slice(1)
    return [{ type: "key", name: "escape" }, ...this.push(new Uint8Array())]
  }

  private next(): Key | "consumed" | undefined {
    if (this.paste !== undefined) return this.nextOfPaste()
    if (this.pending === "") return undefined
    if (this.pending.startsWith("\x1b")) return this.nextEscape()
    const first = this.pending.charAt(0)
    if (first < " " || first === "\x7f") return this.cut(1, controlKey(first))
    let length = 1
    while (
      length < this.pending.length &&
      this.pending.charAt(length) >= " " &&
      this.pending.charAt(length) !== "\x7f"
    )
      length++
    return this.cut(length, { type: "text", text: this.pending.slice(0, length) })
  }

  private nextEscape(): Key | "consumed" | undefined {
    if (PARTIAL.test(this.pending)) return undefined
    if (this.pending.startsWith(PASTE_BEGIN)) {
      this.paste = ""
      return this.cut(PASTE_BEGIN.length, "consumed")
    }
    const sequence = ESCAPE.exec(this.pending)?.[0]
    if (sequence === undefined) return this.cut(1, { type: "key", name: "escape" })
    const name = SEQUENCES[sequence.slice(1)]
    return this.cut(sequence.length, name === undefined ? "consumed" : { type: "key", name })
  }

  /** A paste ends at its end mark only: whatever control characters it holds are text. */
  private nextOfPaste(): Key | "consumed" | undefined {
    const end = this.pending.indexOf(PASTE_END)
    if (end === -1) {
      // the end mark may be split
      const safe = Math.max(0, this.pending.length - PASTE_END.length + 1)
      this.paste += this.pending.slice(0, safe)
      this.pending = this.pending.slice(safe)
      return undefined
    }
    const text = `${this.paste}${this.pending.slice(0, end)}`.replace(/\r\n?/g, "\n")
    this.paste = undefined
    return this.cut(end + PASTE_END.length, { type: "paste", text })
  }

  private cut<T>(length: number, result: T): T {
    this.pending = this.pending.slice(length)
    return result
  }
}

function controlKey(character: string): Key {
  const named = CONTROL[character]
  if (named !== undefined) return { type: "key", name: named }
  return {
    type: "key",
    name: `ctrl-${String.fromCharCode(character.charCodeAt(0) + 64).toLowerCase()}`,
  }
}
