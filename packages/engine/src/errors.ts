import { STATUS } from "./symbols.ts"

export type EngineErrorCode =
  | "ARGUMENT"
  | "FORMAT"
  | "DEVICE_MEMORY"
  | "CONTEXT_FULL"
  | "CANCELLED"
  | "DEVICE"
  | "INTERNAL"
  | "IO"
  | "BUSY"

export class EngineError extends Error {
  override readonly name = "EngineError"
  constructor(
    readonly code: EngineErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

const CODES: ReadonlyMap<number, EngineErrorCode> = new Map([
  [STATUS.ARGUMENT, "ARGUMENT"],
  [STATUS.FORMAT, "FORMAT"],
  [STATUS.DEVICE_MEMORY, "DEVICE_MEMORY"],
  [STATUS.CONTEXT_FULL, "CONTEXT_FULL"],
  [STATUS.CANCELLED, "CANCELLED"],
  [STATUS.DEVICE, "DEVICE"],
  [STATUS.INTERNAL, "INTERNAL"],
  [STATUS.IO, "IO"],
])

const MEMORY_ADVICE =
  "--expert-weights mapped leaves the experts in the file; a smaller --ctx or --parallel needs less"

/** The error for a DS4_ERR_* number; one that this program does not know is INTERNAL. */
export function engineError(status: number, message: string): EngineError {
  const code = CODES.get(status) ?? "INTERNAL"
  return new EngineError(code, code === "DEVICE_MEMORY" ? `${message}; ${MEMORY_ADVICE}` : message)
}

/** A broken invariant of ours. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new EngineError("INTERNAL", `broken invariant: ${message}`)
}
