// The places that take the bytes of an output, in order.
import { write } from "node:fs"
import type { FileHandle } from "node:fs/promises"
import { promisify } from "node:util"
import { asOutputError } from "./output-error.ts"

/** Where a writer puts bytes, in order. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>
  /** Leaves zeros. A file does not store them; most file systems keep nothing for them. */
  skip(bytes: number): Promise<void>
}

type Put = (bytes: Uint8Array, offset: number) => Promise<number>

async function putAll(bytes: Uint8Array, path: string, put: Put): Promise<void> {
  let written = 0
  try {
    while (written < bytes.length) {
      const count = await put(bytes, written)
      if (count === 0) throw new Error("it took no more bytes")
      written += count
    }
  } catch (error) {
    throw asOutputError(error, path)
  }
}

/** A file's sink; `finish` gives it its length and flushes it. */
export function fileSink(
  handle: FileHandle,
  path: string,
): ByteSink & { finish: () => Promise<void> } {
  let position = 0
  return {
    async write(bytes) {
      await putAll(bytes, path, async (from, offset) => {
        const at = position + offset
        return (await handle.write(from, offset, from.length - offset, at)).bytesWritten
      })
      position += bytes.length
    },
    skip(bytes) {
      position += bytes
      return Promise.resolve()
    },
    async finish() {
      try {
        await handle.truncate(position)
        await handle.sync()
      } catch (error) {
        throw asOutputError(error, path)
      }
    },
  }
}

const ZEROS = new Uint8Array(2 ** 16)

function sequentialSink(path: string, put: Put): ByteSink {
  return {
    write: (bytes) => putAll(bytes, path, put),
    async skip(bytes) {
      for (let left = bytes; left > 0; left -= ZEROS.length)
        await putAll(ZEROS.subarray(0, Math.min(left, ZEROS.length)), path, put)
    },
  }
}

/** A sink of a pipe or device: what is skipped goes there as zeros. */
export function streamSink(handle: FileHandle, path: string): ByteSink {
  return sequentialSink(
    path,
    // null: where the stream is
    async (bytes, offset) =>
      (await handle.write(bytes, offset, bytes.length - offset, null)).bytesWritten,
  )
}

const writeDescriptor = promisify(write)

/** Standard output is never opened again: it may be in the middle of a file. */
export function standardOutputSink(): ByteSink {
  return sequentialSink("standard output", async (bytes, offset) => {
    for (;;) {
      try {
        const { bytesWritten } = await writeDescriptor(
          1,
          bytes,
          offset,
          bytes.length - offset,
          null,
        )
        return bytesWritten
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error
        await Bun.sleep(1)
      }
    }
  })
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
