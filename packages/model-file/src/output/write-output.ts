// Writes an output of any size. A file appears under its name complete or not at all: written
// beside it, flushed, then renamed.
import { constants } from "node:fs"
import { link, open, rename, rm, statfs, type FileHandle } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { asOutputError, OutputError } from "./output-error.ts"
import { outputTarget, type OutputTarget } from "./output-target.ts"
import { type ByteSink, fileSink, standardOutputSink, streamSink } from "./byte-sink.ts"

/** Left free for the file system's own needs. */
const SPARE_BYTES = 2 ** 20

export interface WriteOptions {
  /** A file that exists may be replaced (default false: refuse). */
  readonly overwrite?: boolean
  /** Bytes that will be skipped instead of written: they need no room on the disk. */
  readonly skippedBytes?: number
  /** Permission bits of a new file, less the umask; a file that exists keeps its own. */
  readonly mode?: number
  /** Free bytes of the folder's file system; statfs by default. */
  readonly freeBytes?: (folder: string) => Promise<number>
}

/** Two writers of one target in one process must not share an unfinished file. */
let nextPart = 0

const freeOnDisk = async (folder: string): Promise<number> => {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/**
 * Writes `path` through `fill`; `-` is standard output. When anything fails, `fill` included, the
 * unfinished file is removed and a file that stood at `path` before is untouched. `fileBytes`, less
 * what will be skipped, must be free before anything is written.
 * @throws OutputError when the path cannot take it; whatever `fill` throws.
 */
export async function writeOutput(
  path: string,
  fileBytes: number,
  fill: (sink: ByteSink) => Promise<void>,
  options: WriteOptions = {},
): Promise<void> {
  const target = outputTarget(path, options.overwrite === true)
  switch (target.kind) {
    case "standard output":
      return await fill(standardOutputSink())
    case "stream":
      return await writeStream(target.path, target.isPipe, fill)
    case "file":
      return await writeFile(path, target, fileBytes, fill, options)
  }
}

/** Writes a text whole. @throws OutputError */
export async function writeTextOutput(
  path: string,
  text: string,
  options: WriteOptions = {},
): Promise<void> {
  const bytes = new TextEncoder().encode(text)
  await writeOutput(path, bytes.length, (sink) => sink.write(bytes), options)
}

/** Gives the bytes to a pipe or device, which nothing replaces. */
async function writeStream(
  path: string,
  isPipe: boolean,
  fill: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  const handle = await openStream(path, isPipe)
  try {
    await fill(streamSink(handle, path))
  } finally {
    await handle.close()
  }
}

/** A pipe that nobody reads is an error; waiting for a reader could last for ever. */
export async function openStream(path: string, isPipe: boolean): Promise<FileHandle> {
  const flags = constants.O_WRONLY | constants.O_NOCTTY
  try {
    if (!isPipe) return await open(path, flags)
    const probe = await open(path, flags | constants.O_NONBLOCK)
    try {
      return await open(path, flags)
    } finally {
      await probe.close()
    }
  } catch (error) {
    throw asOutputError(error, path)
  }
}

type FileTarget = Extract<OutputTarget, { kind: "file" }>

async function writeFile(
  path: string,
  target: FileTarget,
  fileBytes: number,
  fill: (sink: ByteSink) => Promise<void>,
  options: WriteOptions,
): Promise<void> {
  const folder = dirname(target.path)
  const part = join(folder, `.${basename(target.path)}.part-${process.pid}-${nextPart++}`)
  let handle: FileHandle
  try {
    const free = await (options.freeBytes ?? freeOnDisk)(folder)
    const neededBytes = fileBytes - (options.skippedBytes ?? 0)
    if (free < neededBytes + SPARE_BYTES) {
      throw new OutputError(
        "IO",
        `needs ${neededBytes} bytes; the disk has ${free} free. Make room or write elsewhere`,
        path,
      )
    }
    handle = await open(part, "wx", target.mode ?? options.mode ?? 0o666)
    if (target.mode !== undefined) await handle.chmod(target.mode) // without the umask
  } catch (error) {
    throw asOutputError(error, path)
  }
  try {
    await fillAndFlush(handle, path, fill)
    await place(part, target).catch((error: unknown) => {
      throw asOutputError(error, path)
    })
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  await flushFolder(folder)
}

/** A name that was free must not hide a file that came meanwhile: a link is made only once. */
async function place(part: string, { path, exists }: FileTarget): Promise<void> {
  if (exists) return await rename(part, path)
  try {
    await link(part, path)
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined
    if (code === "EEXIST")
      throw new OutputError("EXISTS", "was made by another program meanwhile", path, {
        cause: error,
      })
    return await rename(part, path) // file systems without links
  }
  await rm(part)
}

async function fillAndFlush(
  handle: FileHandle,
  path: string,
  fill: (sink: ByteSink) => Promise<void>,
): Promise<void> {
  try {
    const sink = fileSink(handle, path)
    await fill(sink)
    await sink.finish()
  } finally {
    await handle.close()
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
      throw asOutputError(error, folder)
  } finally {
    await handle.close()
  }
}
