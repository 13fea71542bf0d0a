// Calls that take long enough to hold up an event loop, made on a thread of their own.
import { ptr, type Pointer } from "bun:ffi"
import { EngineError, engineError } from "../errors.ts"

/** Functions that return a ds4_status and may block. */
type BlockingSymbol = "ds4_engine_open"

export interface BackgroundCall {
  readonly id: number
  readonly symbol: BlockingSymbol
  readonly args: readonly (Pointer | bigint | null)[]
}
export interface BackgroundAnswer {
  readonly id: number
  /** A DS4_* status, or -1 if the call was not made. */
  readonly status: number
  readonly text: string
}

interface Waiting {
  readonly settle: (answer: BackgroundAnswer) => void
  /** Memory that the call reads and writes, held until it is done. */
  readonly memory: readonly (Uint8Array | BigUint64Array)[]
}

let worker: Worker | undefined
const waiting = new Map<number, Waiting>()
let nextId = 1

function start(): Worker {
  const started = new Worker(new URL("../worker.ts", import.meta.url))
  started.onmessage = ({ data }: MessageEvent<BackgroundAnswer>) =>
    waiting.get(data.id)?.settle(data)
  started.onerror = ({ message }) => {
    worker = undefined
    for (const [id, { settle }] of waiting) settle({ id, status: -1, text: message })
  }
  return started
}

/**
 * Memory that stays where it is while JavaScript runs: typed arrays under about 1000 bytes move
 * otherwise.
 */
export function steadyBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const steady = new Uint8Array(new ArrayBuffer(bytes.length))
  steady.set(bytes)
  return steady
}

/**
 * @param args arrays among them must be steady; they are held until the call is done
 * @throws EngineError of the status, or INTERNAL if the thread failed
 */
export async function callInBackground(
  symbol: BlockingSymbol,
  args: readonly (
    | Pointer
    | bigint
    | null
    | Uint8Array<ArrayBuffer>
    | BigUint64Array<ArrayBuffer>
  )[],
): Promise<void> {
  worker ??= start()
  worker.ref()
  const id = nextId++
  const { promise, resolve } = Promise.withResolvers<BackgroundAnswer>()
  const memory = args.filter((arg) => ArrayBuffer.isView(arg))
  waiting.set(id, { settle: resolve, memory })
  const plain = args.map((arg) => (ArrayBuffer.isView(arg) ? ptr(arg) : arg))
  worker.postMessage({ id, symbol, args: plain } satisfies BackgroundCall)
  try {
    const { status, text } = await promise
    if (status === -1) throw new EngineError("INTERNAL", `${symbol} could not be called: ${text}`)
    if (status !== 0)
      throw engineError(status, text === "" ? `${symbol} failed with status ${status}` : text)
  } finally {
    waiting.delete(id)
    if (waiting.size === 0) worker?.unref()
  }
}
