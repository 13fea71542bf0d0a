// Look-ups among many checkpoints, saving and reading one large state, opening a large folder.
// Usage: bun bench/store.ts [checkpoints] [megabytes a page] [folder]
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DiskFiles } from "../src/files/disk.ts"
import type { OutputFile } from "../src/files/file-system.ts"
import { headOfIds } from "../src/testing/head-of-ids.ts"
import { Catalog } from "../src/index/catalog.ts"
import { KvStore } from "../src/store/kv-store.ts"
import { SyntheticState, TEST_MODEL, tokenIds, withOther } from "../src/testing/synthetic-state.ts"

const checkpoints = Number(Bun.argv[2] ?? 10_000)
const pageMegabytes = Number(Bun.argv[3] ?? 7.5)
const parent = Bun.argv[4] ?? tmpdir()

/** Microseconds of one call: the median and the 99th percentile. */
function measure(calls: number, call: (index: number) => void): { median: number; p99: number } {
  const times = Array.from({ length: calls }, (_, index) => {
    const begin = performance.now()
    call(index)
    return 1000 * (performance.now() - begin)
  }).toSorted((a, b) => a - b)
  return { median: times[calls >> 1] ?? 0, p99: times[Math.floor(0.99 * calls)] ?? 0 }
}

function lookups(): void {
  const system = tokenIds(1800, 1)
  // Conversations of five checkpoints each, all with the same 1,800 tokens at their beginning.
  const conversations = Array.from({ length: Math.ceil(checkpoints / 5) }, (_, index) =>
    withOther(system, system.length, 200 + ((index * 7919) % 60_000), index + 2),
  )
  const catalog = new Catalog(0n)
  const begin = performance.now()
  for (const ids of conversations)
    for (let part = 1; part <= 5; part++)
      catalog.addCheckpoint(headOfIds(ids.subarray(0, Math.floor((ids.length * part) / 5))))
  for (const { key } of catalog.segments.values()) catalog.addSegment(key, 1)
  const build = performance.now() - begin
  const first = (ids: Int32Array): number => catalog.prefixesOf(ids).next().value?.head.tokens ?? 0
  for (const [name, length] of [
    ["prompts of 2K to 60K tokens, found", 0],
    ["prompts of 65,536 other tokens, nothing found", 65_536],
    ["prompts of 1,048,576 tokens, found at the end", 1_048_576],
  ] as const) {
    const prompts =
      length === 0
        ? conversations.slice(0, 1000).map((ids) => withOther(ids, ids.length, 30, 9))
        : [tokenIds(length, 7), withOther(system, 1800, length - 1800, 8)]
    if (length > 65_536 && prompts[0] !== undefined)
      catalog.addCheckpoint(headOfIds(prompts[0].subarray(0, length - 1)))
    for (const { key, bytes } of catalog.segments.values())
      if (bytes === undefined) catalog.addSegment(key, 1)
    const result = measure(2000, (index) => void first(prompts[index % prompts.length] ?? system))
    console.log({ lookup: name, checkpoints: catalog.checkpoints.size, microseconds: result })
  }
  console.log({ indexMs: build })
}

/** The same files in the same pieces, without checks and without a store. */
async function readRaw(folder: string): Promise<void> {
  const buffer = new Uint8Array((pageMegabytes + 1) * 2 ** 20)
  for (const name of readdirSync(join(folder, "segments"))) {
    const file = await open(join(folder, "segments", name), "r")
    await file.read(buffer, 0, buffer.length, 0)
    await file.close()
  }
}

/** Opening a folder of many checkpoints: ten in each conversation of five pages. */
async function opening(): Promise<void> {
  const folder = mkdtempSync(join(parent, "ds4-kv-bench-"))
  try {
    const options = { folder, compatibility: TEST_MODEL, budgetBytes: 1e12, minimumFreeBytes: 0 }
    const store = await KvStore.open({ ...options, files: new Unsynced(folder) })
    for (let seed = 0; seed < checkpoints / 10; seed++) {
      const ids = tokenIds(10_300, seed)
      for (let part = 1; part <= 10; part++) {
        const shown = ids.subarray(0, 1030 * part)
        const state = new SyntheticState(shown, { bytesPerToken: 0, recentBytes: 40 })
        await store.save(state, { shown, reason: "bench" })
      }
    }
    const { checkpoints: count, segments } = store.stats
    await store.close()
    const begin = performance.now()
    await (await KvStore.open(options)).close()
    console.log({ opened: count, segments, openMs: performance.now() - begin })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Makes the folder fast; nothing of it must last. */
class Unsynced extends DiskFiles {
  override async syncFolder(): Promise<void> {}
  override async create(name: string): Promise<OutputFile> {
    const file = await super.create(name)
    return {
      write: (bytes, position) => file.write(bytes, position),
      sync: async () => undefined,
      close: () => file.close(),
    }
  }
}

async function transfers(): Promise<void> {
  const folder = mkdtempSync(join(parent, "ds4-kv-bench-"))
  try {
    const options = { folder, compatibility: TEST_MODEL, budgetBytes: 1e12, minimumFreeBytes: 0 }
    const store = await KvStore.open(options)
    const ids = tokenIds(65_536 + 100, 3)
    const made = new SyntheticState(ids, { bytesPerToken: (pageMegabytes * 2 ** 20) / 2048 })
    // Regions are made before, so that only the store is measured.
    const regions = made.regionBytes.map((_, region) => made.readRegion(region))
    const { position, regionBytes } = made
    const state = {
      position,
      regionBytes,
      readRegion: (region: number) => regions[region] ?? new Uint8Array(0),
    }
    let longest = 0
    let last = performance.now()
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last - 1)
      last = performance.now()
    }, 1)
    const bytes = regionBytes.reduce((sum, each) => sum + each, 0)
    const rate = (begin: number): number => bytes / (performance.now() - begin) / 1e6
    const beginSave = performance.now()
    const saved = await store.save(state, { shown: ids, reason: "bench" })
    console.log({ saved: saved.saved, bytes, saveGBs: rate(beginSave), longestPauseMs: longest })
    for (let round = 0; round < 3; round++) {
      longest = 0
      const begin = performance.now()
      let read = 0
      for await (const chunk of store.read(saved.saved ? saved.key : "")) read += chunk.length
      console.log({ readGBs: rate(begin), read, longestPauseMs: longest })
    }
    clearInterval(timer)
    const beginRaw = performance.now()
    await readRaw(folder)
    console.log({ plainReadGBs: rate(beginRaw) })
    const beginOpen = performance.now()
    await (await KvStore.open(options)).close()
    console.log({ openMs: performance.now() - beginOpen })
    await store.close()
  } finally {
    rmSync(folder, { recursive: true })
  }
}

lookups()
await transfers()
await opening()
