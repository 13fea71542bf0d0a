import { writeSync } from "node:fs"

/** Where a command reads and writes. Results go to `out`, everything else to `err`. */
export interface Io {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Writes to stderr what a person asked for by working at the terminal: --quiet keeps it. */
  readonly draw: (text: string) => void
  /** All of standard input; empty when it is a terminal. */
  readonly readInput: () => Promise<string>
  readonly isInputTerminal: boolean
  readonly isOutputTerminal: boolean
  readonly isErrorTerminal: boolean
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Columns of the terminal, 80 when there is none. */
  readonly columns: () => number
}

/** Writes all bytes, also to a pipe that takes only some at a time. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  let offset = 0
  while (offset < bytes.length) {
    try {
      offset += writeSync(descriptor, bytes, offset)
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined
      if (code === "EPIPE") process.exit(0) // the reader has seen enough
      if (code !== "EAGAIN") throw error
      Bun.sleepSync(1)
    }
  }
}

/** The process's own streams. */
export function processIo(): Io {
  const encoder = new TextEncoder()
  return {
    out: (text) => writeAll(1, encoder.encode(text)),
    err: (text) => writeAll(2, encoder.encode(text)),
    draw: (text) => writeAll(2, encoder.encode(text)),
    readInput: async () => (process.stdin.isTTY ? "" : await Bun.stdin.text()),
    isInputTerminal: process.stdin.isTTY,
    isOutputTerminal: process.stdout.isTTY,
    isErrorTerminal: process.stderr.isTTY,
    environment: process.env,
    columns: () => process.stdout.columns || process.stderr.columns || 80,
  }
}

/** The same streams, without anything that is only said on the way. */
export function quietIo(io: Io): Io {
  return { ...io, err: () => {} }
}

const told = new WeakMap<Io, Set<string>>()

/** Writes a line to stderr, once for a whole command, however often it opens its model. */
export function noteOnce(io: Io, line: string): void {
  const before = told.get(io) ?? new Set()
  if (!before.has(line)) io.err(`${line}\n`)
  told.set(io, before.add(line))
}

/** True when escape sequences may be written to a stream. */
export function allowsColour(io: Io, isTerminal: boolean): boolean {
  return isTerminal && (io.environment.NO_COLOR ?? "") === "" && io.environment.TERM !== "dumb"
}

/** Text made dim where the terminal allows it. */
export function dim(io: Io, text: string): string {
  return allowsColour(io, io.isErrorTerminal) ? `\x1b[2m${text}\x1b[22m` : text
}
