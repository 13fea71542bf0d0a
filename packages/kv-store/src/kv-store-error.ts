/**
 * ARGUMENT: the caller's mistake. CLOSED: the store is closed. DAMAGED: a file's bytes are not
 * those that were written. FOLDER: the folder cannot be used. INCOMPATIBLE: another model,
 * tokenizer, numerics or version. LOCKED: another process holds the folder. MISMATCH: a
 * checkpoint belongs to other tokens than the prompt's. MISSING: there is no such checkpoint, or
 * a file that it needs is gone.
 */
export type KvStoreErrorCode =
  | "ARGUMENT"
  | "CLOSED"
  | "DAMAGED"
  | "FOLDER"
  | "INCOMPATIBLE"
  | "LOCKED"
  | "MISMATCH"
  | "MISSING"

export class KvStoreError extends Error {
  override readonly name = "KvStoreError"
  constructor(
    readonly code: KvStoreErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export const damaged = (message: string): KvStoreError => new KvStoreError("DAMAGED", message)

/** The code of a system call's error, such as ENOSPC; undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof KvStoreError) return undefined
  const code: unknown = "code" in error ? error.code : undefined
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}
