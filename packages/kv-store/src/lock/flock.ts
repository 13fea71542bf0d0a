import { dlopen, read } from "bun:ffi"
import { closeSync, openSync } from "node:fs"
import { join } from "node:path"
import { KvStoreError } from "../kv-store-error.ts"
import type { FolderLock, LockMode } from "./folder-lock.ts"

const SHARED = 1
const EXCLUSIVE = 2
const WITHOUT_WAITING = 4
const POLL_MS = 2

const IS_DARWIN = process.platform === "darwin"
const EINTR = 4
const EWOULDBLOCK = IS_DARWIN ? 35 : 11

function openLibc(): { flock(fd: number, operation: number): number; errno(): number } {
  const flock = { args: ["i32", "i32"], returns: "i32" } as const
  const errnoPlace = { args: [], returns: "ptr" } as const
  if (IS_DARWIN) {
    const { symbols } = dlopen("libSystem.dylib", { flock, __error: errnoPlace })
    return { flock: symbols.flock, errno: () => errnoAt(symbols.__error()) }
  }
  const { symbols } = dlopen("libc.so.6", { flock, __errno_location: errnoPlace })
  return { flock: symbols.flock, errno: () => errnoAt(symbols.__errno_location()) }
}
const errnoAt = (place: Parameters<typeof read.i32>[0] | null): number =>
  place === null ? 0 : read.i32(place, 0)

let libc: ReturnType<typeof openLibc> | undefined

function openLockFile(path: string): number {
  try {
    return openSync(path, "a", 0o600)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new KvStoreError("FOLDER", `the store's folder cannot be locked: ${reason}`)
  }
}

/** Closes it once: its number may be another file's by the second time. */
function closing(fd: number): Disposable {
  let isOpen = true
  return {
    [Symbol.dispose]: () => {
      if (isOpen) closeSync(fd)
      isOpen = false
    },
  }
}

/** Undefined when another open file has it. The kernel lets go when the process ends. */
function tryFlock(path: string, operation: number): Disposable | undefined {
  libc ??= openLibc()
  const fd = openLockFile(path)
  let errno = 0
  do {
    if (libc.flock(fd, operation | WITHOUT_WAITING) === 0) return closing(fd)
    errno = libc.errno()
  } while (errno === EINTR)
  closeSync(fd)
  if (errno === EWOULDBLOCK) return undefined
  throw new KvStoreError(
    "FOLDER",
    `flock of ${path} failed with error ${errno}: a store needs a local file system with flock`,
  )
}

async function poll(
  path: string,
  operation: number,
  deadline: number,
): Promise<Disposable | undefined> {
  for (;;) {
    const lock = tryFlock(path, operation)
    if (lock !== undefined || performance.now() >= deadline) return lock
    await Bun.sleep(POLL_MS)
  }
}

/**
 * Two files: `lock` itself, and `turn`, which whoever wants to be alone holds while it waits.
 * Writers pass through `turn` first, so a row of them cannot keep it waiting forever.
 */
export class FlockLock implements FolderLock {
  private readonly lock: string
  private readonly turn: string
  constructor(folder: string) {
    this.lock = join(folder, "lock")
    this.turn = join(folder, "turn")
  }

  async acquire(mode: LockMode, waitMs: number): Promise<Disposable | undefined> {
    const deadline = performance.now() + waitMs
    if (mode === "read") return poll(this.lock, SHARED, deadline)
    const operation = mode === "alone" ? EXCLUSIVE : SHARED
    const turn = await poll(this.turn, operation, deadline)
    if (turn === undefined) return undefined
    try {
      return await poll(this.lock, operation, deadline)
    } finally {
      turn[Symbol.dispose]()
    }
  }
}
