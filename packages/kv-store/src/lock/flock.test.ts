import { expect, test } from "bun:test"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { codeOf, openTestStore } from "../testing/open-test-store.ts"
import { temporaryFolder } from "../testing/temporary-folder.ts"
import { FlockLock } from "./flock.ts"
import type { LockMode } from "./folder-lock.ts"

const HOLD = join(import.meta.dir, "../testing/hold-lock.ts")

/** Another process that has the lock. */
async function holder(folder: string, mode: LockMode): Promise<{ kill: () => Promise<void> }> {
  const child = Bun.spawn([process.execPath, HOLD, folder, mode], { stdout: "pipe" })
  const reader = child.stdout.getReader()
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("held\n")
  return {
    kill: async () => {
      child.kill("SIGKILL")
      await child.exited
    },
  }
}

function lockedFolder(): { folder: string; lock: FlockLock } {
  const folder = temporaryFolder()
  mkdirSync(folder, { mode: 0o700 })
  return { folder, lock: new FlockLock(folder) }
}

test.each([
  ["read", { read: true, write: true, alone: false }],
  ["write", { read: true, write: true, alone: false }],
  ["alone", { read: false, write: false, alone: false }],
] as const)("beside another process that holds it to %s", async (mode, expected) => {
  const { folder, lock } = lockedFolder()
  const other = await holder(folder, mode)
  for (const [own, isFree] of Object.entries(expected)) {
    using held = await lock.acquire(own as LockMode, 20)
    expect({ own, isFree: held !== undefined }).toEqual({ own, isFree })
  }
  // The kernel frees the lock of a process that dies.
  await other.kill()
  using held = await lock.acquire("alone", 1000)
  expect(held).toBeDefined()
})

test("who wants to be alone waits for readers, and writers wait behind it", async () => {
  const { lock } = lockedFolder()
  const order: string[] = []
  const first = await lock.acquire("read", 0)
  const alone = lock.acquire("alone", 2000).then((held) => {
    order.push("alone")
    held?.[Symbol.dispose]()
  })
  await Bun.sleep(10)
  const write = lock.acquire("write", 2000).then((held) => {
    order.push("write")
    held?.[Symbol.dispose]()
  })
  await Bun.sleep(10)
  using second = await lock.acquire("read", 0)
  expect(second).toBeDefined()
  second?.[Symbol.dispose]()
  expect(order).toEqual([])
  first?.[Symbol.dispose]()
  await Promise.all([alone, write])
  expect(order).toEqual(["alone", "write"])
})

test("a store opens beside a process that saves, and leaves its temporary file", async () => {
  const { folder } = lockedFolder()
  await (await openTestStore(folder)).close()
  const temporary = join(folder, "tmp", "being-written")
  await Bun.write(temporary, "x")
  const other = await holder(folder, "write")
  await (await openTestStore(folder, { lockWaitMs: 50 })).close()
  expect(await Bun.file(temporary).exists()).toBe(true)
  await other.kill()
  await (await openTestStore(folder, { lockWaitMs: 1000 })).close()
  expect(await Bun.file(temporary).exists()).toBe(false)
})

test("a store that another process keeps is refused with advice", async () => {
  const { folder } = lockedFolder()
  const other = await holder(folder, "alone")
  const work = openTestStore(folder, { lockWaitMs: 50 })
  expect(await codeOf(work)).toBe("LOCKED")
  await other.kill()
  await (await openTestStore(folder, { lockWaitMs: 1000 })).close()
})
