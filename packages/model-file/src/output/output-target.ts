// The one rule of every output that a person names. A new name or a regular file is written beside
// its place and renamed. Through a symbolic link the file behind it is written, and the link stays.
// Pipes and character devices get the bytes and stay what they are. Everything else is refused.
import { lstatSync, realpathSync, statSync, type Stats } from "node:fs"
import { basename, dirname, join } from "node:path"
import { asOutputError, OutputError } from "./output-error.ts"

/** The path that means standard output. */
export const STANDARD_OUTPUT = "-"

export type OutputTarget =
  | {
      readonly kind: "file"
      /** The file's own path, with no link in it. */
      readonly path: string
      readonly exists: boolean
      /** Permission bits to keep; undefined for a new file. */
      readonly mode: number | undefined
    }
  | { readonly kind: "stream"; readonly path: string; readonly isPipe: boolean }
  | { readonly kind: "standard output" }

/**
 * Looks at an output before anything is written.
 * @param mayOverwrite a regular file that exists may be replaced
 * @throws OutputError EXISTS, KIND or IO, saying what stands there
 */
export function outputTarget(path: string, mayOverwrite: boolean): OutputTarget {
  if (path === STANDARD_OUTPUT) return { kind: "standard output" }
  if (path === "" || path.endsWith("/") || path.includes("\0"))
    throw new OutputError("KIND", "is not the name of a file", path === "" ? '""' : path)
  try {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return newFile(path)
    if (!found.isSymbolicLink()) return existing(path, found, mayOverwrite)
    const behind = statSync(path, { throwIfNoEntry: false })
    if (behind === undefined)
      throw new OutputError(
        "KIND",
        "is a symbolic link to nothing; name the file itself or remove the link",
        path,
      )
    return existing(path, behind, mayOverwrite)
  } catch (error) {
    throw asOutputError(error, path)
  }
}

function newFile(path: string): OutputTarget {
  const folder = dirname(path)
  if (!statSync(folder).isDirectory())
    throw new OutputError("KIND", `${folder} is not a folder`, path)
  return {
    kind: "file",
    path: join(realpathSync(folder), basename(path)),
    exists: false,
    mode: undefined,
  }
}

function existing(path: string, found: Stats, mayOverwrite: boolean): OutputTarget {
  if (found.isFIFO() || found.isCharacterDevice())
    return { kind: "stream", path, isPipe: found.isFIFO() }
  const kind = found.isDirectory()
    ? "is a folder; name a file in it"
    : found.isBlockDevice()
      ? "is a block device; name a file"
      : found.isFile()
        ? undefined
        : "is a socket; name a file"
  if (kind !== undefined) throw new OutputError("KIND", kind, path)
  if (!mayOverwrite)
    throw new OutputError(
      "EXISTS",
      "exists already; choose another name, or allow overwriting (--force)",
      path,
    )
  return { kind: "file", path: realpathSync(path), exists: true, mode: found.mode & 0o7777 }
}
