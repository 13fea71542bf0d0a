import { writeSync } from "node:fs"
import type { Key } from "./keys.ts"
import { KeyDecoder } from "./keys.ts"

const PASTE_ON = "\x1b[?2004h"
const PASTE_OFF = "\x1b[?2004l"
const ESCAPE_WAIT_MS = 40 // a lone Escape is told from a sequence by silence
const TYPED_AHEAD_MS = 50 // input that is there so soon after raw mode began was typed before it

/**
 * The terminal in raw mode: keys go to whoever listens and wait while nobody does. The mode is
 * undone on every way out of the process that can be caught.
 */
export class RawTerminal {
  private readonly decoder = new KeyDecoder()
  private readonly queue: Key[] = []
  private listener: ((key: Key) => void) | undefined
  private escapeTimer: ReturnType<typeof setTimeout> | undefined
  private isRaw = false
  private rawSinceMs = 0
  private readonly onData = (bytes: Uint8Array) => this.receive(bytes)
  private readonly onExit = () => this.leave()
  private readonly onContinue = () => {
    this.isRaw = false
    this.enter()
    this.onResume()
  }
  /** Called after the process was suspended and continued: whoever draws has to draw again. */
  onResume: () => void = () => {}

  /** Takes over stdin. */
  open(): void {
    process.on("exit", this.onExit)
    process.on("SIGCONT", this.onContinue)
    process.stdin.on("data", this.onData)
    this.enter()
  }

  close(): void {
    clearTimeout(this.escapeTimer)
    this.leave()
    process.stdin.off("data", this.onData)
    process.stdin.pause()
    process.off("exit", this.onExit)
    process.off("SIGCONT", this.onContinue)
  }

  /**
   * Gives keys to a listener, waiting ones first. Only one listens at a time; undefined: keys wait.
   */
  listen(listener: ((key: Key) => void) | undefined): void {
    this.listener = listener
    const waiting = this.queue.splice(0) // a listener may postpone keys again
    this.deliver(waiting)
  }

  /** Lets a key wait for the next listener. */
  postpone(key: Key): void {
    this.queue.push(key)
  }

  /** Runs something that needs the terminal as it was, such as an editor. */
  suspended<T>(run: () => T): T {
    this.leave()
    try {
      return run()
    } finally {
      this.enter()
    }
  }

  /** Ctrl+Z: stops the process group as a terminal would. */
  stop(): void {
    this.leave()
    process.kill(0, "SIGTSTP")
  }

  private enter(): void {
    if (this.isRaw) return
    process.stdin.setRawMode(true)
    process.stdin.resume()
    writeSync(2, PASTE_ON)
    this.isRaw = true
    this.rawSinceMs = performance.now()
  }

  private leave(): void {
    if (!this.isRaw) return
    this.isRaw = false
    writeSync(2, PASTE_OFF)
    process.stdin.setRawMode(false)
  }

  private receive(bytes: Uint8Array): void {
    clearTimeout(this.escapeTimer)
    const isTypedAhead = performance.now() - this.rawSinceMs < TYPED_AHEAD_MS
    // the terminal had turned Enter into a line feed then
    this.deliver(
      this.decoder.push(isTypedAhead ? bytes.map((byte) => (byte === 0x0a ? 0x0d : byte)) : bytes),
    )
    if (this.decoder.isWaiting)
      this.escapeTimer = setTimeout(() => this.deliver(this.decoder.flush()), ESCAPE_WAIT_MS)
  }

  private deliver(keys: readonly Key[]): void {
    for (const key of keys) {
      if (this.listener === undefined) this.queue.push(key)
      else this.listener(key)
    }
  }
}
