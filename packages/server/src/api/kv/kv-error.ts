import { KvStoreError, type KvStoreErrorCode } from "@ds4/engine"
import { ApiError } from "../../http/api-error.ts"
import { engineFailure } from "../../serving/generation-error.ts"

/** The error of a server that keeps nothing on disk. */
export const nothingKept = (): ApiError =>
  new ApiError(
    "UNAVAILABLE",
    "this server keeps no states on disk; start it with --kv-disk-dir DIR",
    { reason: "kv_disabled" },
  )

export const unknownKey = (name: string, param: string): ApiError =>
  new ApiError("NOT_FOUND", `there is no checkpoint "${name}"; GET /v1/kv lists them`, {
    param,
    reason: "checkpoint_not_found",
  })

const REASONS: Readonly<Record<KvStoreErrorCode, readonly ["CONFLICT" | "UNAVAILABLE", string]>> = {
  ARGUMENT: ["CONFLICT", "kv_not_in_memory"],
  CLOSED: ["UNAVAILABLE", "draining"],
  DAMAGED: ["CONFLICT", "kv_damaged"],
  FOLDER: ["UNAVAILABLE", "kv_folder"],
  INCOMPATIBLE: ["CONFLICT", "kv_incompatible"],
  LOCKED: ["CONFLICT", "kv_locked"],
  MISMATCH: ["CONFLICT", "kv_damaged"],
  MISSING: ["CONFLICT", "kv_missing"],
}

/** Runs an operation on the folder; its failures become errors that the client reads. */
export async function onFolder<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof KvStoreError)) throw engineFailure(error)
    const [code, reason] = REASONS[error.code]
    throw new ApiError(code, error.message, { reason, cause: error })
  }
}
