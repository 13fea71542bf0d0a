import { candidateRows, completedWord, type Completer } from "./completion.ts"
import { EditBuffer } from "./edit-buffer.ts"
import type { History } from "./history.ts"
import { HistorySearch } from "./history-search.ts"
import type { Key, KeyName } from "./keys.ts"
import { layoutPrompt } from "./prompt-layout.ts"
import type { RawTerminal } from "./raw-terminal.ts"
import { submitAction } from "./submit.ts"

type ReadResult =
  | { readonly type: "line"; readonly text: string }
  | { readonly type: "interrupt" }
  | { readonly type: "end" }

interface Screen {
  write(text: string): void
  columns(): number
  rows(): number
}

interface LineEditorOptions {
  readonly terminal: RawTerminal
  readonly history: History
  readonly screen: Screen
  /** Opens a text in the person's editor and returns what they saved. */
  readonly editExternally: (text: string) => string
  readonly complete: Completer
}

type Action = (buffer: EditBuffer) => void

const EDITS: ReadonlyMap<KeyName, Action> = new Map<KeyName, Action>([
  ["newline", (buffer) => buffer.insert("\n")],
  ["backspace", (buffer) => buffer.deleteLeft()],
  ["delete", (buffer) => buffer.deleteRight()],
  ["left", (buffer) => buffer.left()],
  ["ctrl-b", (buffer) => buffer.left()],
  ["right", (buffer) => buffer.right()],
  ["ctrl-f", (buffer) => buffer.right()],
  ["home", (buffer) => buffer.home()],
  ["ctrl-a", (buffer) => buffer.home()],
  ["end", (buffer) => buffer.end()],
  ["ctrl-e", (buffer) => buffer.end()],
  ["word-left", (buffer) => buffer.wordLeft()],
  ["word-right", (buffer) => buffer.wordRight()],
  ["delete-word-left", (buffer) => buffer.kill("word-left")],
  ["delete-word-right", (buffer) => buffer.kill("word-right")],
  ["ctrl-w", (buffer) => buffer.kill("space-left")],
  ["ctrl-u", (buffer) => buffer.kill("line-start")],
  ["ctrl-k", (buffer) => buffer.kill("line-end")],
  ["ctrl-y", (buffer) => buffer.yank()],
  ["ctrl-t", (buffer) => buffer.transpose()],
  ["ctrl-_", (buffer) => buffer.undo()],
])

/** The prompt: reads one text of any number of lines with editing, history and search. */
export class LineEditor {
  private readonly buffer = new EditBuffer()
  private prompt = ""
  private drawnCursorRow = 0
  private historyIndex = 0
  private isKept = true
  private draft = ""
  private isAfterCtrlX = false
  private search: HistorySearch | undefined
  private resolve: ((result: ReadResult) => void) | undefined

  constructor(private readonly options: LineEditorOptions) {}

  /**
   * Reads one text; `initial` is put into the line first.
   * @param isKept whether the text goes into the history
   */
  read(prompt: string, initial = "", isKept = true): Promise<ReadResult> {
    this.prompt = prompt
    this.isKept = isKept
    this.buffer.set(initial)
    this.historyIndex = this.options.history.entries.length
    this.drawnCursorRow = 0
    const { promise, resolve } = Promise.withResolvers<ReadResult>()
    this.resolve = resolve
    this.draw()
    this.options.terminal.onResume = () => this.redraw()
    this.options.terminal.listen((key) => this.take(key))
    return promise
  }

  /** Draws again after the window changed or something else was printed. */
  redraw(): void {
    if (this.resolve !== undefined) this.draw()
  }

  private take(key: Key): void {
    if (this.search !== undefined) this.takeInSearch(key, this.search)
    else if (key.type === "key") this.press(key.name)
    else this.buffer.insert(key.text)
    if (this.resolve !== undefined) this.draw()
  }

  private press(name: KeyName): void {
    if (this.isAfterCtrlX) {
      this.isAfterCtrlX = false
      if (name === "ctrl-e")
        this.buffer.set(
          this.options.terminal.suspended(() => this.options.editExternally(this.buffer.text)),
        )
      return
    }
    const edit = EDITS.get(name)
    if (edit !== undefined) edit(this.buffer)
    else if (name === "enter") this.enter()
    else if (name === "tab") this.completeWord()
    else if (name === "up" || name === "ctrl-p") this.upOrDown(-1)
    else if (name === "down" || name === "ctrl-n") this.upOrDown(1)
    else if (name === "ctrl-c") this.interrupt()
    else if (name === "ctrl-d") this.endOrDelete()
    else if (name === "ctrl-r")
      this.search = new HistorySearch(this.options.history, this.buffer.text)
    else if (name === "ctrl-x") this.isAfterCtrlX = true
    else if (name === "ctrl-l") this.clearScreen()
    else if (name === "ctrl-z") this.options.terminal.stop()
  }

  private enter(): void {
    const action = submitAction(this.buffer.text)
    if (action.type === "newline") {
      this.buffer.set(action.text)
      return
    }
    if (this.isKept) this.options.history.add(this.buffer.text)
    this.finish({ type: "line", text: action.text })
  }

  /** Completes the word before the cursor as far as is certain, or shows what it can become. */
  private completeWord(): void {
    const before = this.buffer.text.slice(0, this.buffer.cursor)
    const completion = this.options.complete(before)
    if (completion === undefined) {
      this.buffer.insert("\t")
      return
    }
    const { begin, candidates } = completion
    const word = before.slice(begin)
    const completed = completedWord(word, candidates)
    if (completed !== undefined) this.buffer.insert(completed.slice(word.length))
    else if (candidates.length > 1)
      this.printBelow(candidateRows(candidates, this.options.screen.columns()))
  }

  /** Prints lines under the text; the prompt is drawn anew under them. */
  private printBelow(lines: readonly string[]): void {
    const { cursor } = this.buffer
    this.buffer.cursor = this.buffer.text.length
    this.draw()
    this.options.screen.write(`\r\n${lines.join("\r\n")}\r\n`)
    this.buffer.cursor = cursor
    this.drawnCursorRow = 0
  }

  private interrupt(): void {
    if (this.buffer.text !== "") this.buffer.clear()
    else this.finish({ type: "interrupt" })
  }

  private endOrDelete(): void {
    if (this.buffer.text === "") this.finish({ type: "end" })
    else this.buffer.deleteRight()
  }

  private upOrDown(direction: -1 | 1): void {
    if (this.buffer.vertical(direction)) return
    const { entries } = this.options.history
    const index = this.historyIndex + direction
    if (index < 0 || index > entries.length) return
    if (this.historyIndex === entries.length) this.draft = this.buffer.text
    this.historyIndex = index
    this.buffer.set(entries[index] ?? this.draft)
  }

  private takeInSearch(key: Key, search: HistorySearch): void {
    const verdict = search.take(key)
    if (verdict === "searching") return
    this.search = undefined
    this.buffer.set(verdict === "cancelled" ? search.original : search.found)
    if (verdict === "accepted-key" && key.type === "key") this.press(key.name)
  }

  private finish(result: ReadResult): void {
    this.buffer.cursor = this.buffer.text.length
    this.draw()
    this.options.screen.write("\r\n")
    const resolve = this.resolve
    this.resolve = undefined
    this.options.terminal.listen(undefined)
    resolve?.(result)
  }

  private clearScreen(): void {
    this.options.screen.write("\x1b[H\x1b[2J")
    this.drawnCursorRow = 0
  }

  private draw(): void {
    const { screen } = this.options
    const shown =
      this.search === undefined
        ? { text: this.buffer.text, cursor: this.buffer.cursor, prompt: this.prompt }
        : this.search.view()
    const layout = layoutPrompt({
      ...shown,
      columns: screen.columns(),
      rows: Math.max(2, screen.rows() - 1),
    })
    const up = this.drawnCursorRow > 0 ? `\x1b[${this.drawnCursorRow}A` : ""
    const below = layout.rows.length - 1 - layout.cursorRow
    const back = below > 0 ? `\x1b[${below}A` : ""
    const column = layout.cursorColumn > 0 ? `\x1b[${layout.cursorColumn}C` : ""
    screen.write(`${up}\r\x1b[J${layout.rows.join("\r\n")}${back}\r${column}`)
    this.drawnCursorRow = layout.cursorRow
  }
}
