/**
 * The fault of an output. EXISTS: a file is there already and overwriting was not allowed. KIND:
 * the path names something that no file can take the place of. IO: writing failed.
 */
export type OutputErrorCode = "EXISTS" | "KIND" | "IO"

/** An output that cannot be written. It says nothing about what was to be written. */
export class OutputError extends Error {
  override readonly name = "OutputError"

  constructor(
    readonly code: OutputErrorCode,
    message: string,
    readonly path: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${message}`, options)
  }
}

/** An error of the file system, or an OutputError as it is. */
export function asOutputError(error: unknown, path: string): OutputError {
  if (error instanceof OutputError) return error
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error)
  return new OutputError("IO", REASONS[code] ?? `cannot be written (${code})`, path, {
    cause: error,
  })
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; nothing was left behind",
  EDQUOT: "the disk quota is used up; nothing was left behind",
  ENOENT: "its folder does not exist (ENOENT)",
  ENOTDIR: "a part of its path is a file, not a folder (ENOTDIR)",
  EACCES: "may not be written here (EACCES)",
  EPERM: "may not be written here (EPERM)",
  EROFS: "the file system is read-only (EROFS)",
  ENXIO: "nothing reads from it (ENXIO)",
  EPIPE: "its reader has gone (EPIPE)",
}
