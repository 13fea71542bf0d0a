// Encodes on another thread. The thread and its vocabulary exist only while somebody needs them.
import type { Segment } from "@ds4/tokenizer"

export interface EncodeCall {
  id: number
  modelPath: string
  segments: readonly Segment[]
}
export type EncodeAnswer = { id: number; ids: Int32Array } | { id: number; fault: string }

/** Milliseconds without work after which the thread ends: a large vocabulary takes some 100 MB. */
const IDLE_MS = 60_000

export class BackgroundEncoder {
  private worker: Worker | undefined
  private readonly waiting = new Map<number, PromiseWithResolvers<Int32Array>>()
  private nextId = 1
  private idleTimer: ReturnType<typeof setTimeout> | undefined

  /** @param modelPath the model file or folder from which the thread loads its vocabulary */
  constructor(
    private readonly modelPath: string,
    private readonly idleMs = IDLE_MS,
  ) {}

  /** The thread exists. */
  get isRunning(): boolean {
    return this.worker !== undefined
  }

  /**
   * Returns the ids that `tokenizer.encodeSegments` gives for the segments. Rejects when the thread
   * fails or is closed.
   */
  async encode(segments: readonly Segment[]): Promise<Int32Array> {
    clearTimeout(this.idleTimer)
    this.worker ??= this.start()
    const call: EncodeCall = { id: this.nextId++, modelPath: this.modelPath, segments }
    const result = Promise.withResolvers<Int32Array>()
    this.waiting.set(call.id, result)
    this.worker.postMessage(call)
    try {
      return await result.promise
    } finally {
      this.waiting.delete(call.id)
      if (this.waiting.size === 0 && this.worker !== undefined) {
        this.idleTimer = setTimeout(() => this.close(), this.idleMs)
        this.idleTimer.unref()
      }
    }
  }

  /** Ends the thread and rejects waiting calls. A later `encode` starts another thread. */
  close(): void {
    clearTimeout(this.idleTimer)
    this.worker?.terminate()
    this.worker = undefined
    this.rejectAll("the tokenizer's thread was closed")
  }

  private start(): Worker {
    const worker = new Worker(new URL("./encoder-worker.ts", import.meta.url))
    worker.unref()
    worker.onmessage = ({ data }: MessageEvent<EncodeAnswer>) => {
      const result = this.waiting.get(data.id)
      if ("ids" in data) result?.resolve(data.ids)
      else result?.reject(new Error(`the tokenizer's thread failed: ${data.fault}`))
    }
    worker.onerror = ({ message }) => {
      worker.terminate()
      if (this.worker === worker) this.worker = undefined
      this.rejectAll(`the tokenizer's thread failed: ${message}`)
    }
    return worker
  }

  private rejectAll(message: string): void {
    for (const { reject } of this.waiting.values()) reject(new Error(message))
    this.waiting.clear()
  }
}
