import { expect, test } from "bun:test"
import type { LockMode } from "../lock/folder-lock.ts"
import { MemoryFiles } from "../testing/memory-files.ts"
import { longer, openTestStore, saveIds } from "../testing/open-test-store.ts"
import { collect, SyntheticState, tokenIds } from "../testing/synthetic-state.ts"

/** A folder and its lock; each operation notes the modes that were held when it began. */
class WatchedFolder extends MemoryFiles {
  readonly held: LockMode[] = []
  readonly faults: string[] = []
  operations = 0
  readonly lock = {
    acquire: async (mode: LockMode): Promise<Disposable> => {
      this.held.push(mode)
      return { [Symbol.dispose]: () => void this.held.splice(this.held.indexOf(mode), 1) }
    },
  }

  /** Takes a turn of the event loop, so that a lock that is let go too early is seen. */
  private async need(operation: string, modes: readonly LockMode[]): Promise<void> {
    this.operations++
    await Bun.sleep(0)
    if (!this.held.some((mode) => modes.includes(mode)))
      this.faults.push(`${operation} while held: ${this.held.join()}`)
  }

  override async open(name: string): ReturnType<MemoryFiles["open"]> {
    await this.need(`open ${name}`, ["read", "write", "alone"])
    return super.open(name)
  }
  override async create(name: string): ReturnType<MemoryFiles["create"]> {
    await this.need(`create ${name}`, ["write", "alone"])
    return super.create(name)
  }
  override async append(name: string, bytes: Uint8Array): Promise<void> {
    await this.need(`append ${name}`, ["read", "write", "alone"])
    return super.append(name, bytes)
  }
  override async rename(from: string, to: string): Promise<void> {
    const isQuarantine = to.startsWith("quarantine/")
    await this.need(
      `rename to ${to}`,
      isQuarantine ? ["read", "write", "alone"] : ["write", "alone"],
    )
    return super.rename(from, to)
  }
  override async remove(name: string): Promise<void> {
    await this.need(`remove ${name}`, ["alone"])
    return super.remove(name)
  }
}

test("every operation on the folder happens under the lock that it needs, to its end", async () => {
  const files = new WatchedFolder()
  const ids = tokenIds(7000, 1)
  const store = await openTestStore("", { files, lock: files.lock, budgetBytes: 150_000 })
  for (const length of [1000, 4500, 7000]) await saveIds(store, ids.subarray(0, length))
  for (let seed = 2; seed < 8; seed++) await saveIds(store, tokenIds(3000, seed))
  expect(store.stats.evictions).toBeGreaterThan(0)
  const last = tokenIds(3000, 7)
  const key = store.lookup(longer(last))?.key ?? ""
  await collect(store.read(key, { prompt: longer(last) }))
  // A read that its caller gives up lets go as well.
  for await (const _ of store.read(key)) break
  const state = new SyntheticState(ids)
  await store.save(state, { shown: ids, reason: "turn", text: "text" })
  await store.text(store.lookup(longer(ids))?.key ?? "")
  await store.refresh()
  await store.verify()
  await store.remove(key)
  await store.gc()
  await store.close()
  expect(files.operations).toBeGreaterThan(100)
  expect(files.faults).toEqual([])
  expect(files.held).toEqual([])
})
