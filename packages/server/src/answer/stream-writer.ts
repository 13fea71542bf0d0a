import type { OpeningUsage, Outcome } from "./outcome.ts"
import type { OutputBatch } from "./output-batch.ts"

/** Turns one answer into frames. Methods are called in the order open, write…, close | fail. */
export interface StreamWriter {
  /** `open` shows token counts: it has to wait until the engine has planned the prompt. */
  readonly opensWithUsage: boolean
  /** Frames that open the stream. The client learns from them that its request was accepted. */
  open(usage: OpeningUsage): string
  write(batch: OutputBatch): string
  close(outcome: Outcome): string
  /** Frames for a failure after the stream began. */
  fail(message: string): string
  /** A frame that says "still alive". `note` tells the progress: "prefill 18432/65536". */
  keepAlive(note: string): string
}
