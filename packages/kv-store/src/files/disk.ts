import { mkdir, open, readdir, rename, rm, stat, statfs, type FileHandle } from "node:fs/promises"
import { join } from "node:path"
import type { FileStatus, FileSystem, InputFile, OutputFile } from "./file-system.ts"

/**
 * Bytes of one call. The runtime spends time on the calling thread in proportion to them. It is
 * 0.4 ms for a write of 1 MiB, and 0.7 ms for a read of 8 MiB.
 */
const WRITE_BYTES = 2 ** 20
const READ_BYTES = 2 ** 23

const orWhenMissing = async <T>(work: Promise<T>, otherwise: T): Promise<T> => {
  try {
    return await work
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return otherwise
    throw error
  }
}

class DiskOutput implements OutputFile {
  constructor(private readonly handle: FileHandle) {}
  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const rest = Math.min(WRITE_BYTES, bytes.length - done)
      const { bytesWritten } = await this.handle.write(bytes, done, rest, position + done)
      done += bytesWritten
    }
  }
  sync(): Promise<void> {
    return this.handle.sync()
  }
  close(): Promise<void> {
    return this.handle.close()
  }
}

class DiskInput implements InputFile {
  constructor(
    private readonly handle: FileHandle,
    readonly bytes: number,
  ) {}
  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0
    while (done < target.length) {
      const rest = Math.min(READ_BYTES, target.length - done)
      const { bytesRead } = await this.handle.read(target, done, rest, position + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }
  close(): Promise<void> {
    return this.handle.close()
  }
}

/** A folder of a real file system. All work runs on the runtime's threads for files. */
export class DiskFiles implements FileSystem {
  constructor(readonly folder: string) {}

  private path(name: string): string {
    return join(this.folder, name)
  }

  async makeFolder(name: string): Promise<void> {
    await mkdir(this.path(name), { recursive: true, mode: 0o700 })
  }

  list(name: string): Promise<string[]> {
    return orWhenMissing(readdir(this.path(name)), [])
  }

  async stat(name: string): Promise<FileStatus | undefined> {
    const status = await orWhenMissing(stat(this.path(name)), undefined)
    return status && { bytes: status.size, modified: status.mtimeMs }
  }

  async create(name: string): Promise<OutputFile> {
    return new DiskOutput(await open(this.path(name), "wx", 0o600))
  }

  async open(name: string): Promise<InputFile> {
    const handle = await open(this.path(name), "r")
    try {
      return new DiskInput(handle, (await handle.stat()).size)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    const handle = await open(this.path(name), "a", 0o600)
    try {
      await handle.write(bytes, 0, bytes.length)
    } finally {
      await handle.close()
    }
  }

  rename(from: string, to: string): Promise<void> {
    return rename(this.path(from), this.path(to))
  }

  remove(name: string): Promise<void> {
    return rm(this.path(name), { force: true })
  }

  async syncFolder(name: string): Promise<void> {
    const handle = await open(this.path(name), "r")
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder)
    return bavail * bsize
  }
}
