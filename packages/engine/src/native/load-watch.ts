import { LOAD_PROGRESS } from "../symbols.ts"
import type { EngineOptions } from "../types.ts"
import { steadyBytes } from "./background.ts"

const PROGRESS_MS = 200

/** The memory through which a running ds4_engine_open tells how far it is and is told to stop. */
export class LoadWatch implements Disposable {
  readonly memory = steadyBytes(LOAD_PROGRESS.create())
  private readonly view = new DataView(this.memory.buffer)
  private readonly timer: ReturnType<typeof setInterval> | undefined
  private readonly signal: AbortSignal | undefined

  constructor({ onLoad, signal }: Pick<EngineOptions, "onLoad" | "signal">) {
    this.timer =
      onLoad === undefined
        ? undefined
        : setInterval(() => {
            const { done_bytes, total_bytes } = LOAD_PROGRESS.read(this.view)
            if (total_bytes > 0)
              onLoad({ stage: "packing", doneBytes: done_bytes, totalBytes: total_bytes })
          }, PROGRESS_MS)
    this.signal = signal
    if (signal?.aborted === true) this.cancel()
    signal?.addEventListener("abort", this.cancel)
  }

  private readonly cancel = (): void => {
    LOAD_PROGRESS.write(this.view, 0, { ...LOAD_PROGRESS.read(this.view), cancel: 1 })
  };

  [Symbol.dispose](): void {
    clearInterval(this.timer)
    this.signal?.removeEventListener("abort", this.cancel)
  }
}
