// A file that appears under its name complete or not at all: written beside it, flushed, then
// renamed.
import { open, rename, rm, statfs, type FileHandle } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { ModelFileError } from "./model-file-error.ts"

/** Left free for the file system's own needs. */
const SPARE_BYTES = 2 ** 20

export interface WriteOptions {
  /** Bytes that will be skipped instead of written: they need no room on the disk. */
  readonly skippedBytes?: number
  /** Free bytes of the folder's file system; statfs by default. */
  readonly freeBytes?: (folder: string) => Promise<number>
}

/** Two writers of one target in one process must not share an unfinished file. */
let nextPart = 0

/** Where a writer puts bytes, in order. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>
  /** Leaves zeros without writing them; most file systems store nothing for them. */
  skip(bytes: number): Promise<void>
}

const freeOnDisk = async (folder: string): Promise<number> => {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/**
 * Writes `path` through `fill`. When anything fails, `fill` included, the unfinished file is
 * removed and what stood at `path` before is untouched. `fileBytes`, less what will be skipped,
 * must be free before anything is written.
 * @throws ModelFileError IO when the disk cannot take it; whatever `fill` throws.
 */
export async function writeAtomically(
  path: string,
  fileBytes: number,
  fill: (sink: ByteSink) => Promise<void>,
  options: WriteOptions = {},
): Promise<void> {
  const folder = dirname(path)
  const neededBytes = fileBytes - (options.skippedBytes ?? 0)
  const part = join(folder, `.${basename(path)}.part-${process.pid}-${nextPart++}`)
  let handle: FileHandle
  try {
    const free = await (options.freeBytes ?? freeOnDisk)(folder)
    if (free < neededBytes + SPARE_BYTES) {
      throw new ModelFileError(
        "IO",
        `needs ${neededBytes} bytes; the disk has ${free} free. Make room or write elsewhere`,
        { path },
      )
    }
    handle = await open(part, "w")
  } catch (error) {
    throw asIoError(error, path)
  }
  try {
    await fillAndFlush(handle, path, fill)
    await rename(part, path).catch((error: unknown) => {
      throw asIoError(error, path)
    })
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  await flushFolder(folder)
}

async function fillAndFlush(
  handle: FileHandle,
  path: string,
  fill: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  let position = 0
  const attempt = async (action: Promise<unknown>): Promise<void> => {
    try {
      await action
    } catch (error) {
      throw asIoError(error, path)
    }
  }
  try {
    await fill({
      async write(bytes) {
        await attempt(writeAll(handle, bytes, position))
        position += bytes.length
      },
      skip(bytes) {
        position += bytes
        return Promise.resolve()
      },
    })
    await attempt(handle.truncate(position))
    await attempt(handle.sync())
  } finally {
    await handle.close()
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(
      bytes,
      written,
      bytes.length - written,
      position + written,
    )
    if (bytesWritten === 0) throw new Error("the file system took no more bytes")
    written += bytesWritten
  }
}

/**
 * The rename itself must survive a power cut. File systems that cannot flush folders say EINVAL.
 */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r")
  try {
    await handle.sync()
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EINVAL"))
      throw asIoError(error, folder)
  } finally {
    await handle.close()
  }
}

function asIoError(error: unknown, path: string): ModelFileError {
  if (error instanceof ModelFileError) return error
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error)
  const hint =
    code === "ENOSPC" ? "the disk is full; nothing was left behind" : `cannot be written (${code})`
  return new ModelFileError("IO", hint, { path, cause: error })
}

/** A sink that counts what passes. */
export function countingSink(sink: ByteSink): { sink: ByteSink; bytes: () => number } {
  let bytes = 0
  return {
    bytes: () => bytes,
    sink: {
      write(chunk) {
        bytes += chunk.length
        return sink.write(chunk)
      },
      skip(count) {
        bytes += count
        return sink.skip(count)
      },
    },
  }
}
