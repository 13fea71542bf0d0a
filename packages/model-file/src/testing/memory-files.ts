// A file system in memory. A file may be longer than its bytes: the rest reads as zeros, so models
// of real size exist without their data.
import { ModelFileError } from "../model-file-error.ts"
import type { FileAccess } from "../byte-source.ts"

export interface MemoryFile {
  readonly head: Uint8Array
  readonly bytes: number
}
type MemoryContents = ReadonlyMap<string, Uint8Array | MemoryFile>

export interface MemoryFiles extends FileAccess {
  /** Bytes handed out so far. */
  readonly bytesRead: () => number
}

/** Folders exist where files lie under them. */
export function memoryFiles(contents: MemoryContents): MemoryFiles {
  let bytesRead = 0
  const fileAt = (path: string): MemoryFile | undefined => {
    const found = contents.get(path)
    return found instanceof Uint8Array ? { head: found, bytes: found.length } : found
  }
  return {
    bytesRead: () => bytesRead,
    kind(path) {
      if (contents.has(path)) return Promise.resolve("file")
      return Promise.resolve(
        [...contents.keys()].some((name) => name.startsWith(`${path}/`)) ? "folder" : undefined,
      )
    },
    list(folder) {
      const below = [...contents.keys()].filter((name) => name.startsWith(`${folder}/`))
      const names = below.map((name) => name.slice(folder.length + 1).split("/")[0] ?? "")
      return Promise.resolve([...new Set(names)].toSorted())
    },
    open(path) {
      const file = fileAt(path)
      if (file === undefined)
        return Promise.reject(new ModelFileError("NOT_FOUND", "no such file", { path }))
      return Promise.resolve({
        path,
        bytes: file.bytes,
        read(offset: number, length: number) {
          if (offset < 0 || offset + length > file.bytes)
            return Promise.reject(
              new ModelFileError(
                "IO",
                `read of ${length} at ${offset} leaves ${file.bytes} bytes`,
                { path },
              ),
            )
          bytesRead += length
          const out = new Uint8Array(length)
          out.set(
            file.head.subarray(
              Math.min(offset, file.head.length),
              Math.min(offset + length, file.head.length),
            ),
          )
          return Promise.resolve(out)
        },
      })
    },
  }
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
