import type { AnswerRun } from "./answer-run.ts"
import { CancelReason } from "./request-registry.ts"

const encoder = new TextEncoder()

/** Cancels a stream whose client does not read: a frame was offered and nobody took it. */
export class StallWatch {
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly run: AnswerRun,
    private readonly stallMs: number,
  ) {}

  /** Offers one frame to the reader; an empty one is skipped. */
  *guard(frame: string): Generator<Uint8Array> {
    if (frame === "") return
    this.timer = setTimeout(() => {
      this.run.active.controller.abort(
        new CancelReason("stalled", `the client has not read for ${this.stallMs / 1000} s`),
      )
      this.run.context.disconnect()
    }, this.stallMs)
    this.run.isParked = true
    yield encoder.encode(frame)
    this.run.isParked = false
    clearTimeout(this.timer)
  }

  stop(): void {
    clearTimeout(this.timer)
  }
}
