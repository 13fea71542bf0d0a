// How the readers reach bytes. The disk in production; tests inject headers without data behind
// them.
import type { Stats } from "node:fs"
import { readdir } from "node:fs/promises"
import { ModelFileError } from "./model-file-error.ts"

/** One file that can be read in pieces. */
export interface ByteSource {
  readonly path: string
  readonly bytes: number
  /** Exactly `length` bytes from `offset`; throws ModelFileError IO when they are not there. */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** The part of a file system that the readers need. */
export interface FileAccess {
  kind(path: string): Promise<"file" | "folder" | undefined>
  open(path: string): Promise<ByteSource>
  /** Names of what a folder holds, sorted; empty where they may not be read. */
  list(folder: string): Promise<readonly string[]>
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await Bun.file(path).stat()
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined
    if (code === "ENOENT" || code === "ENOTDIR") return undefined
    throw new ModelFileError("IO", `cannot be examined (${String(code ?? error)})`, {
      path,
      cause: error,
    })
  }
}

async function readSlice(
  path: string,
  bytes: number,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  if (offset < 0 || length < 0 || offset + length > bytes) {
    throw new ModelFileError(
      "IO",
      `read of ${length} bytes at ${offset} leaves the file of ${bytes} bytes`,
      { path },
    )
  }
  if (length === 0) return new Uint8Array(0)
  let got: Uint8Array
  try {
    got = await Bun.file(path)
      .slice(offset, offset + length)
      .bytes()
  } catch (error) {
    throw new ModelFileError(
      "IO",
      `read of ${length} bytes at ${offset} failed (${String(error)})`,
      { path, cause: error },
    )
  }
  if (got.length !== length) {
    throw new ModelFileError(
      "IO",
      `read of ${length} bytes at ${offset} gave ${got.length}: the file changed or is damaged`,
      { path },
    )
  }
  return got
}

export const diskFiles: FileAccess = {
  async kind(path) {
    const stat = await statOf(path)
    if (stat === undefined) return undefined
    return stat.isDirectory() ? "folder" : "file"
  },
  async open(path) {
    const stat = await statOf(path)
    if (stat === undefined) throw new ModelFileError("NOT_FOUND", "no such file", { path })
    if (stat.isDirectory()) throw new ModelFileError("IO", "is a folder, expected a file", { path })
    if (!stat.isFile())
      throw new ModelFileError("IO", "is a device, pipe or socket, expected a file", { path })
    return {
      path,
      bytes: stat.size,
      read: (offset, length) => readSlice(path, stat.size, offset, length),
    }
  },
  async list(folder) {
    const names: string[] = await readdir(folder).catch(() => [])
    return names.sort()
  },
}
