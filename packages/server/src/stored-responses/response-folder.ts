// The folder of stored responses: a file of mode 0600 for each, written whole or not at all.
import { constants } from "node:fs"
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises"
import { join } from "node:path"
import { decodeResponseFile, encodeResponseFile, ResponseFileError } from "./response-file.ts"
import { isResponseId, type StoredResponse } from "./stored-response.ts"

const SUFFIX = ".response"
const TEMPORARY = ".tmp"
/** A temporary file of this age belongs to no write that still runs. */
const ABANDONED_MS = 3_600_000
/** One line tells of failed writes in this time. */
const FAILURE_NOTE_MS = 60_000
/** A link or a pipe in place of a file is refused and not waited for. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

export interface FoundResponse {
  readonly stored: StoredResponse
  /** Unix milliseconds of its last use. */
  readonly usedMs: number
}

export class ResponseFolder {
  /** Work on the disk runs in the order in which it was asked for. */
  private queue: Promise<unknown> = Promise.resolve()
  private lastFailureMs = -Infinity

  /** @param note takes a line for the log */
  constructor(
    private readonly path: string,
    private readonly note: (line: string) => void,
  ) {}

  /**
   * Every response of the folder, the last used ones first, until `maxBytes` of files were read;
   * the files beyond are removed. What cannot be read is left out, and one line tells of it.
   */
  async readAll(maxBytes: number): Promise<FoundResponse[]> {
    return this.inOrder(async () => {
      const found: FoundResponse[] = []
      const faults: string[] = []
      let bytes = 0
      for (const { name, usedMs, size } of await this.list(faults)) {
        bytes += size
        if (bytes > maxBytes) await this.discard(name)
        else {
          const stored = await this.decode(name, maxBytes, faults)
          if (stored !== undefined) found.push({ stored, usedMs })
        }
      }
      this.tell(faults)
      return found
    })
  }

  /** The response with this id; undefined where there is no file that can be read. */
  async read(id: string, maxBytes: number): Promise<StoredResponse | undefined> {
    if (!isResponseId(id)) return undefined
    return this.inOrder(async () => {
      const faults: string[] = []
      const stored = await this.decode(id + SUFFIX, maxBytes, faults)
      this.tell(faults)
      return stored
    })
  }

  /** Resolves when the response lies on the disk, or a line has told why it does not. */
  async write(stored: StoredResponse): Promise<void> {
    await this.attempt("written", async () => {
      await mkdir(this.path, { recursive: true, mode: 0o700 })
      const temporary = join(this.path, crypto.randomUUID() + TEMPORARY)
      try {
        await writeSynced(temporary, encodeResponseFile(stored))
        await rename(temporary, this.fileOf(stored.id))
      } catch (error) {
        await rm(temporary, { force: true })
        throw error
      }
      await syncFolder(this.path)
    })
  }

  async remove(id: string): Promise<void> {
    await this.attempt("removed", async () => rm(this.fileOf(id), { force: true }))
  }

  /** Notes that a response was used, for the order in which they go. */
  async touch(id: string): Promise<void> {
    await this.inOrder(async () => {
      const now = new Date()
      // Another server may have removed it, or it could not be written.
      await utimes(this.fileOf(id), now, now).catch(() => {})
    })
  }

  /** Resolves when everything that was asked for is done. */
  async idle(): Promise<void> {
    await this.inOrder(async () => {})
  }

  private fileOf(id: string): string {
    return join(this.path, id + SUFFIX)
  }

  private async inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.queue.then(work)
    this.queue = done.catch(() => {})
    return done
  }

  /** A disk that fails costs the copy on the disk, not the answer. */
  private async attempt(verb: string, work: () => Promise<void>): Promise<void> {
    try {
      await this.inOrder(work)
    } catch (error) {
      const now = performance.now()
      if (now - this.lastFailureMs < FAILURE_NOTE_MS) return
      this.lastFailureMs = now
      this.note(`a stored response cannot be ${verb} in ${this.path}: ${messageOf(error)}`)
    }
  }

  /** Files of responses, the last used first. Abandoned temporary files are removed. */
  private async list(faults: string[]): Promise<{ name: string; usedMs: number; size: number }[]> {
    const files: { name: string; usedMs: number; size: number }[] = []
    for (const name of await this.names()) {
      const { mtimeMs, size } = (await stat(join(this.path, name)).catch(() => undefined)) ?? {}
      if (mtimeMs === undefined || size === undefined) continue
      if (name.endsWith(TEMPORARY)) {
        if (Date.now() - mtimeMs > ABANDONED_MS) await this.discard(name)
      } else if (isFileName(name)) files.push({ name, usedMs: mtimeMs, size })
      else faults.push(`${name}: its name is not that of a stored response`)
    }
    return files.toSorted((a, b) => b.usedMs - a.usedMs)
  }

  /** Removes a file that nobody needs; one that cannot be removed stays. */
  private async discard(name: string): Promise<void> {
    await rm(join(this.path, name), { force: true }).catch(() => {})
  }

  /** Names in the folder; none where it is not there or cannot be read. */
  private async names(): Promise<string[]> {
    try {
      return await readdir(this.path)
    } catch (error) {
      if (!isMissing(error))
        this.note(`stored responses cannot be read in ${this.path}: ${messageOf(error)}`)
      return []
    }
  }

  private async decode(
    name: string,
    maxBytes: number,
    faults: string[],
  ): Promise<StoredResponse | undefined> {
    try {
      const bytes = await readFile(join(this.path, name), maxBytes)
      const stored = decodeResponseFile(bytes)
      if (stored.id + SUFFIX !== name) throw new ResponseFileError(`it is that of ${stored.id}`)
      return stored
    } catch (error) {
      if (!isMissing(error)) faults.push(`${name}: ${messageOf(error)}`)
      return undefined
    }
  }

  private tell(faults: readonly string[]): void {
    const [first] = faults
    if (first === undefined) return
    const count = faults.length === 1 ? "1 file is" : `${faults.length} files are`
    this.note(`${count} left out of the stored responses in ${this.path}: ${first}`)
  }
}

function isFileName(name: string): boolean {
  return name.endsWith(SUFFIX) && isResponseId(name.slice(0, -SUFFIX.length))
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function readFile(path: string, maxBytes: number): Promise<Uint8Array> {
  const file = await open(path, READ_FLAGS)
  try {
    const status = await file.stat()
    if (!status.isFile()) throw new ResponseFileError("it is no plain file")
    if (status.size > maxBytes) throw new ResponseFileError(`it is longer than ${maxBytes} bytes`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r")
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT"
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
