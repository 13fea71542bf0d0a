import type { Pointer } from "bun:ffi"
import { EngineError } from "../errors.ts"

/** Memory that receives a handle from an `out_` parameter. */
export class OutHandle {
  readonly memory = new BigUint64Array(1)
  get pointer(): Pointer {
    return Number(this.memory[0]) as Pointer
  }
}

/** An object of the library that has been opened. */
export interface OpenObject {
  /** @throws EngineError ARGUMENT if it has been closed */
  readonly pointer: Pointer
}

/** The pointer of an open handle. @throws EngineError ARGUMENT if it has been closed */
export function openPointer(pointer: Pointer | undefined, what: string): Pointer {
  if (pointer === undefined) throw new EngineError("ARGUMENT", `this ${what} has been closed`)
  return pointer
}
