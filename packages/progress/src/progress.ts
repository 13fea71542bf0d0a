import { stageText, type ProgressStage } from "./stage-text.ts"

/** Where progress is shown: stderr of a command. */
export interface ProgressScreen {
  readonly write: (text: string) => void
  /** A terminal gets one line, drawn again and again. Anything else gets few lines. */
  readonly isTerminal: boolean
  readonly columns: () => number
}

const TICK_MS = 200
const REDRAW_MS = 100
/** Waits that end sooner show nothing. */
const TERMINAL_PATIENCE_MS = 150
const PIPE_PATIENCE_MS = 700
/** Pauses between lines that stay: the longer the wait, the fewer. */
const PIPE_PAUSES_MS = [5_000, 10_000, 20_000, 30_000] as const
/** A new stage is told even when the last line is recent, but not at once. */
const PIPE_STAGE_PAUSE_MS = 1_000
/** The rate is that of the last seconds: disks, caches and prompts change theirs. */
const RATE_WINDOW_MS = 10_000
const SAMPLE_MS = 250

interface Sample {
  readonly ms: number
  readonly done: number
}

/**
 * Shows how far a wait is. It begins with the object and ends with its disposal; stages follow each
 * other within it. A timer draws while the work happens elsewhere, `update` draws when the work
 * holds up this thread.
 */
export class Progress implements Disposable {
  private readonly startMs = performance.now()
  private stage: ProgressStage | undefined
  private stageMs = this.startMs
  private done = 0
  private samples: Sample[] = []
  private timer: ReturnType<typeof setInterval> | undefined
  private isDrawn = false
  private lastMs = 0
  private lines = 0
  private dueMs: number

  /** @param screen undefined: nothing is shown */
  constructor(private readonly screen: ProgressScreen | undefined) {
    const isTerminal = screen?.isTerminal === true
    this.dueMs = this.startMs + (isTerminal ? TERMINAL_PATIENCE_MS : PIPE_PATIENCE_MS)
  }

  /** Whether anything has been shown: the wait was long enough for a closing line. */
  get wasShown(): boolean {
    return this.lines > 0
  }

  /**
   * Begins a stage.
   * @param isBlocking the work holds up this thread from here on, so that no timer can draw: the
   * stage is told at once
   */
  begin(stage: ProgressStage, isBlocking = false): void {
    const now = performance.now()
    this.stage = stage
    this.stageMs = now
    this.done = 0
    this.samples = []
    if (this.screen === undefined) return
    this.hasNews()
    this.timer ??= setInterval(() => this.show(TICK_MS), TICK_MS)
    this.timer.unref()
    if (isBlocking && (this.lines === 0 || this.screen.isTerminal)) this.dueMs = now
    this.show(0)
  }

  /** Tells how much of the stage is done, and how much there is if that is known only now. */
  update(done: number, total?: number): void {
    if (this.stage === undefined) return
    if (total !== undefined && total !== this.stage.total) {
      this.stage = { ...this.stage, total }
      this.hasNews()
    }
    this.done = done
    const ms = performance.now()
    const last = this.samples.at(-1)
    if (last === undefined || (ms - last.ms >= SAMPLE_MS && done > last.done)) {
      this.samples.push({ ms, done })
      if (this.samples.length === 2) this.hasNews() // from here on there is a rate
      while ((this.samples[1]?.ms ?? Infinity) < ms - RATE_WINDOW_MS) this.samples.shift()
    }
    this.show(REDRAW_MS)
  }

  /** Takes the line away, so that other text can stand there; the stage goes on. */
  clear(): void {
    if (this.isDrawn) this.screen?.write("\r\x1b[K")
    this.isDrawn = false
  }

  /** Ends the stage and the timer; another `begin` starts them again. */
  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
    this.stage = undefined
    this.clear()
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  /** In a pipe what is new is told soon, though not at once. */
  private hasNews(): void {
    if (this.screen?.isTerminal === false && this.lines > 0)
      this.dueMs = Math.min(this.dueMs, this.lastMs + PIPE_STAGE_PAUSE_MS)
  }

  private rate(nowMs: number): number | undefined {
    const [first] = this.samples
    if (first === undefined || this.done <= first.done) return undefined
    return ((this.done - first.done) * 1000) / Math.max(1, nowMs - first.ms)
  }

  private show(pauseMs: number): void {
    const { screen, stage } = this
    const now = performance.now()
    if (screen === undefined || stage === undefined || now < this.dueMs) return
    if (screen.isTerminal && this.isDrawn && now - this.lastMs < pauseMs) return
    const { done } = this
    const text = stageText(stage, { done, elapsedMs: now - this.stageMs, rate: this.rate(now) })
    if (screen.isTerminal) screen.write(`\r${text.slice(0, screen.columns() - 1)}\x1b[K`)
    else {
      screen.write(`${text}\n`)
      this.dueMs = now + (PIPE_PAUSES_MS[this.lines] ?? PIPE_PAUSES_MS[3])
    }
    this.isDrawn = screen.isTerminal
    this.lines++
    this.lastMs = now
  }
}
