// Shows how far a build is: one line that advances on a terminal, elsewhere a line now and then.

const LINE_EVERY_MS = 5000

/** Percent of a build that is done, from a line of ninja or make; undefined: another line. */
export function percentOf(line: string): number | undefined {
  if (/\] Re-(?:checking|running)/.test(line)) return 0 // ninja counts these steps by themselves
  const steps = /^\[(\d+)\/(\d+)\]/.exec(line)
  if (steps !== null) return Math.floor((Number(steps[1]) * 100) / Number(steps[2]))
  const percent = /^\[ *(\d+)%\]/.exec(line)?.[1]
  return percent === undefined ? undefined : Number(percent)
}

interface ProgressOutput {
  readonly write: (text: string) => void
  readonly isTerminal: boolean
  /** Milliseconds since any fixed moment. */
  readonly now: () => number
}

const STDERR: ProgressOutput = {
  write: (text) => process.stderr.write(text),
  isTerminal: process.stderr.isTTY,
  now: () => performance.now(),
}

/** Reads the output of a build tool line by line and tells where it is. */
export class BuildProgress {
  private readonly begunMs: number
  private saidMs: number
  private percent = 0
  private hasBuilt = false
  private rest = ""
  /** Lines of the tool that are no progress: messages of compilers. */
  readonly messages: string[] = []

  constructor(
    private readonly label: string,
    private readonly output: ProgressOutput = STDERR,
  ) {
    this.begunMs = output.now()
    this.saidMs = this.begunMs
    if (output.isTerminal) this.show()
  }

  /** Takes the tool's next piece of output. */
  push(text: string): void {
    const lines = (this.rest + text).split("\n")
    this.rest = lines.pop() ?? ""
    for (const line of lines) this.read(line)
  }

  /** Tells the time that passed since the last piece; call it now and then. */
  tick(): void {
    const { output } = this
    if (!output.isTerminal && output.now() - this.saidMs < LINE_EVERY_MS) return
    this.saidMs = output.now()
    this.show()
  }

  /** Ends the display, with a last line when something was built and took its time. */
  end(isGood: boolean): void {
    if (this.rest !== "") this.read(this.rest)
    this.rest = ""
    const { output, seconds } = this
    if (output.isTerminal) output.write("\r\x1b[K")
    if (isGood && this.hasBuilt && seconds >= 1)
      output.write(`ds4: ${this.label}: done in ${seconds} s\n`)
  }

  private get seconds(): number {
    return Math.round((this.output.now() - this.begunMs) / 1000)
  }

  private read(line: string): void {
    const percent = percentOf(line)
    if (percent === undefined) this.messages.push(line)
    else this.percent = Math.max(this.percent, percent)
    // make counts finished targets too, so progress alone does not tell that a step ran
    this.hasBuilt ||= percent !== undefined && /\b(?:Building|Linking)\b/.test(line)
    if (percent !== undefined && this.output.isTerminal) this.show()
  }

  private show(): void {
    const text = `ds4: ${this.label}: ${this.percent} %, ${this.seconds} s`
    this.output.write(this.output.isTerminal ? `\r${text}\x1b[K` : `${text}\n`)
  }
}
