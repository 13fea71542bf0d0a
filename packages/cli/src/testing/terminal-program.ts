// Runs the ds4 command in a pseudo-terminal and talks to it as a person would.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

// named, so that no test builds anything: the library is there before tests run
const LIBRARY = fileURLToPath(new URL("../../../../native/dist/libds4.so", import.meta.url))
const ENTRY = fileURLToPath(new URL("../../bin/ds4.ts", import.meta.url))
const WAIT_MS = 60_000 // below the time limit of a test, so that the screen is shown

interface ProgramOptions {
  readonly columns?: number
  readonly rows?: number
  readonly environment?: Readonly<Record<string, string>>
  /** Home of an earlier program, to meet its files again. */
  readonly home?: string
}

export class TerminalProgram {
  readonly home: string
  output = ""
  private readonly terminal: Bun.Terminal
  private readonly child: Bun.Subprocess
  private readonly decoder = new TextDecoder()
  private seen = 0

  constructor(args: readonly string[], options: ProgramOptions = {}) {
    this.home = options.home ?? mkdtempSync(join(tmpdir(), "ds4-home-"))
    this.terminal = new Bun.Terminal({
      cols: options.columns ?? 80,
      rows: options.rows ?? 24,
      data: (_, bytes) => {
        this.output += this.decoder.decode(bytes, { stream: true })
      },
    })
    this.child = Bun.spawn([process.execPath, ENTRY, ...args], {
      terminal: this.terminal,
      cwd: this.home,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: this.home,
        TERM: "xterm-256color",
        NO_COLOR: "1",
        BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
        DS4_LIBRARY: LIBRARY,
        ...options.environment,
      },
    })
  }

  get pid(): number {
    return this.child.pid
  }

  type(text: string): void {
    this.terminal.write(text)
  }

  paste(text: string): void {
    this.terminal.write(`\x1b[200~${text}\x1b[201~`)
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows)
    // the terminal is not the child's controlling one, so nobody else tells it
    this.child.kill("SIGWINCH")
  }

  /**
   * Waits until the output after the last match contains a text; returns what came up to its end.
   */
  async until(text: string | RegExp): Promise<string> {
    const deadlineMs = performance.now() + WAIT_MS
    for (;;) {
      const fresh = this.output.slice(this.seen)
      const match =
        typeof text === "string"
          ? fresh.includes(text)
            ? { index: fresh.indexOf(text), 0: text }
            : null
          : text.exec(fresh)
      if (match !== null) {
        const end = match.index + match[0].length
        this.seen += end
        return fresh.slice(0, end)
      }
      if (performance.now() > deadlineMs)
        throw new Error(
          `the terminal never showed ${String(text)}; it showed:\n` +
            `${JSON.stringify(this.output.slice(-2000))}`,
        )
      await Bun.sleep(5)
    }
  }

  /** Waits for the prompt to be drawn again. */
  async prompt(): Promise<string> {
    // eslint-disable-next-line no-control-regex -- the editor's own redraw
    return await this.until(/\x1b\[J> /)
  }

  /** Exit code once the program has ended by itself. */
  async exit(): Promise<number> {
    const timer = setTimeout(() => this.child.kill("SIGKILL"), WAIT_MS)
    const code = await this.child.exited
    clearTimeout(timer)
    return code
  }

  /** Ends the program if it still runs and removes its home. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL")
    await this.child.exited
    this.terminal.close()
    rmSync(this.home, { recursive: true, force: true })
  }
}
