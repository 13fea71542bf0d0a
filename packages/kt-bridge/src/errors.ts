import { KTB } from "./symbols.ts"

export type ExpertPoolErrorCode =
  | "ARGUMENT"
  | "FORMAT"
  | "MEMORY"
  | "STATE"
  | "IO"
  | "INTERNAL"
  | "LIBRARY"

export class ExpertPoolError extends Error {
  override readonly name = "ExpertPoolError"
  constructor(
    readonly code: ExpertPoolErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

const CODES: Readonly<Record<number, ExpertPoolErrorCode>> = {
  [KTB.KTB_ERR_ARGUMENT]: "ARGUMENT",
  [KTB.KTB_ERR_FORMAT]: "FORMAT",
  [KTB.KTB_ERR_MEMORY]: "MEMORY",
  [KTB.KTB_ERR_STATE]: "STATE",
  [KTB.KTB_ERR_IO]: "IO",
}

/** The error of a KTB_ERR_* status with the library's text. */
export const expertPoolError = (status: number, message: string): ExpertPoolError =>
  new ExpertPoolError(CODES[status] ?? "INTERNAL", message)

export function invalid(message: string): never {
  throw new ExpertPoolError("ARGUMENT", message)
}
