// The bridge from native threads to promises. One threadsafe callback serves the whole process and
// is never closed: a native thread may call it at any moment. It carries a tag, never a pointer; a
// tag nobody has any more is ignored.
import { JSCallback, type Pointer } from "bun:ffi"
import { EngineError } from "../errors.ts"

let callback: JSCallback | undefined
const sleepers = new Map<number, WakeUp>()
let nextTag = 1

/** The function that engines are given. */
export function wakeCallback(): Pointer {
  callback ??= new JSCallback((tag: number) => sleepers.get(tag)?.notify(), {
    args: ["u32"],
    returns: "void",
    threadsafe: true,
  })
  if (callback.ptr === null)
    throw new EngineError("INTERNAL", "the wake-up callback has no address")
  return callback.ptr
}

/**
 * A wake-up that comes while nobody waits is kept for the next wait; one that comes while several
 * wait ends them all.
 */
export class WakeUp implements Disposable {
  readonly tag: number
  private isPending = false
  private readonly resolves: (() => void)[] = []

  constructor() {
    while (sleepers.has(nextTag)) nextTag = (nextTag + 1) >>> 0
    this.tag = nextTag
    nextTag = (nextTag + 1) >>> 0
    sleepers.set(this.tag, this)
  }

  /** Resolves at the next wake-up, or now if one came since the last wait. */
  async wait(): Promise<void> {
    if (!this.isPending) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.resolves.push(resolve)
      await promise
    }
    this.isPending = false
  }

  notify(): void {
    this.isPending = true
    for (const resolve of this.resolves.splice(0)) resolve()
  }

  [Symbol.dispose](): void {
    sleepers.delete(this.tag)
  }
}

/**
 * A threadsafe callback does not keep the process alive; a timer does while somebody waits for an
 * engine.
 */
export class KeepAlive {
  private waiting = 0
  private timer: ReturnType<typeof setInterval> | undefined

  hold(): Disposable {
    if (this.waiting++ === 0) this.timer = setInterval(() => {}, 2 ** 30)
    let isHeld = true
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return
        isHeld = false
        if (--this.waiting === 0) clearInterval(this.timer)
      },
    }
  }
}
