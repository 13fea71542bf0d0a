import { expect, test } from "bun:test"
import { checksumOf, HEADER_BYTES, TABLE_ENTRY_BYTES, viewOf } from "../format/layout.ts"
import { KvStoreError } from "../kv-store-error.ts"
import { extentOf, extentsOf, randomNumbers, sectionExtents } from "../testing/file-map.ts"
import { MemoryFiles } from "../testing/memory-files.ts"
import { codeOf, longer, NO_LOCK, openTestStore, saveIds } from "../testing/open-test-store.ts"
import { collect, SyntheticState, tokenIds } from "../testing/synthetic-state.ts"
import type { KvStore } from "./kv-store.ts"

const NOTHING = new Uint8Array(0)
const SHORT = 2500
const LONG = 5000
const IDS = tokenIds(LONG, 1)
const PROMPT = longer(IDS)

const open = (files: MemoryFiles): Promise<KvStore> => openTestStore("", { files, lock: NO_LOCK })

/** Two nested checkpoints; the long one has text and an attachment. */
async function twoCheckpoints(): Promise<MemoryFiles> {
  const files = new MemoryFiles()
  const store = await open(files)
  await saveIds(store, IDS.subarray(0, SHORT))
  const state = new SyntheticState(IDS)
  const [text, attachment] = ["hello", Buffer.from("calls")]
  await store.save(state, { shown: IDS, reason: "turn", text, attachment })
  return files
}
const SOUND = await twoCheckpoints()

/** The same files in another store, one of them changed. */
function withChanged(name: string, change: (bytes: Uint8Array) => Uint8Array): MemoryFiles {
  const files = new MemoryFiles()
  for (const folder of SOUND.folders) files.folders.add(folder)
  for (const [each, bytes] of SOUND.contents)
    files.put(each, each === name ? change(bytes.slice()) : bytes)
  return files
}

const fileNames = [...SOUND.contents.keys()].filter((name) => name !== "index.log")
const checkpointNames = fileNames.filter((name) => name.startsWith("checkpoints/"))
const segmentNames = fileNames.filter((name) => name.startsWith("segments/"))

/** Loads the longest that can be loaded, as a caller does. @returns its tokens */
async function loadLongest(store: KvStore, { isForged = false } = {}): Promise<number> {
  for (;;) {
    const match = store.lookup(PROMPT)
    if (match === undefined) return 0
    try {
      const bytes = await collect(store.read(match.key, { prompt: PROMPT }))
      const expected = new SyntheticState(IDS.subarray(0, match.tokens)).snapshot()
      // Rows with a right checksum are for the engine to judge.
      if (!isForged) expect(Buffer.compare(bytes, expected)).toBe(0)
      return match.tokens
    } catch (error) {
      if (!(error instanceof KvStoreError)) throw error
      expect(isForged ? ["DAMAGED", "INCOMPATIBLE", "MISMATCH"] : ["DAMAGED"]).toContain(error.code)
    }
  }
}

/** Everything that may go wrong with a changed file: at opening, loading, verifying. */
async function everything(files: MemoryFiles): Promise<{ loaded: number; found: number }> {
  const store = await open(files)
  const loaded = await loadLongest(store)
  await store.verify()
  for (const { key } of store.list()) {
    await store.text(key)
    await store.attachment(key)
  }
  expect((await store.verify()).damaged).toEqual([])
  return { loaded, found: store.stats.damagedFiles }
}

test("without damage everything loads and verifies", async () => {
  expect(await everything(withChanged("", (bytes) => bytes))).toEqual({ loaded: LONG, found: 0 })
  expect(fileNames).toHaveLength(4)
})

/** Tokens that can still be loaded when this file is lost. */
function loadableWithout(name: string): number {
  const bytes = SOUND.contents.get(name) ?? NOTHING
  const tokens = viewOf(bytes).getUint32(extentOf(bytes, "shape").begin + 4, true)
  if (checkpointNames.includes(name)) return tokens === LONG ? SHORT : LONG
  const firstId = viewOf(bytes).getInt32(extentOf(bytes, "page").begin, true)
  return firstId === IDS[0] ? 0 : SHORT
}

for (const name of fileNames) {
  const bytes = SOUND.contents.get(name) ?? NOTHING
  const title = `${name.slice(0, 12)} of ${bytes.length} bytes`

  test(`a bit flipped in any part is found, and the next shorter is loaded: ${title}`, async () => {
    const random = randomNumbers(bytes.length)
    for (const { name: part, begin, end } of extentsOf(bytes)) {
      for (let round = 0; round < 8; round++) {
        const bit = Math.floor(random() * 8 * (end - begin)) + 8 * begin
        const files = withChanged(name, (copy) => {
          copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          return copy
        })
        const isExtra = part === "text" || part === "attachment"
        const loaded = isExtra ? LONG : loadableWithout(name)
        expect({ part, bit, ...(await everything(files)) }).toEqual({ part, bit, loaded, found: 1 })
        expect([...files.contents.keys()].filter((each) => each.startsWith("q"))).toHaveLength(1)
      }
    }
  })

  test(`a file cut at any border of its parts, or longer, is found: ${title}`, async () => {
    const borders = extentsOf(bytes).flatMap(({ begin, end }) => [begin, end])
    const lengths = new Set(borders.flatMap((at) => [at - 1, at, at + 1]))
    lengths.delete(bytes.length)
    for (const length of lengths) {
      if (length < 0) continue
      const cut = (): Uint8Array => {
        const copy = new Uint8Array(length)
        copy.set(bytes.subarray(0, length))
        return copy
      }
      const result = await everything(withChanged(name, cut))
      expect({ length, ...result }).toEqual({ length, loaded: loadableWithout(name), found: 1 })
    }
  })
}

/** Makes checksums right again after a change, as a forger would. */
function forge(copy: Uint8Array, isBlind = false): Uint8Array {
  const view = viewOf(copy)
  const count = view.getUint16(10, true)
  if (!isBlind)
    for (const [index, { begin, end }] of sectionExtents(copy).entries())
      view.setBigUint64(
        HEADER_BYTES + index * TABLE_ENTRY_BYTES + 24,
        checksumOf(copy.subarray(begin, end)),
        true,
      )
  view.setBigUint64(56, checksumOf(copy.subarray(0, 56)), true)
  const head = copy.subarray(0, HEADER_BYTES + Math.min(count, 16) * TABLE_ENTRY_BYTES)
  view.setBigUint64(copy.length - 16, checksumOf(head), true)
  return copy
}

const HOSTILE = [0xffffffff, 0x80000000, 0x7fffffff, 0x40000001, 2 ** 20]

test("hostile counts with right checksums are refused before anything is allocated", async () => {
  const name = checkpointNames.find((each) => loadableWithout(each) === SHORT) ?? ""
  const sound = SOUND.contents.get(name) ?? NOTHING
  const shape = extentOf(sound, "shape").begin
  for (const value of HOSTILE)
    for (const at of [shape, shape + 4, shape + 8]) {
      const files = withChanged(name, (copy) => {
        viewOf(copy).setUint32(at, value, true)
        return forge(copy)
      })
      const before = process.memoryUsage().rss
      expect({ value, ...(await everything(files)) }).toEqual({ value, loaded: SHORT, found: 1 })
      expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20)
    }
})

test("hostile offsets, lengths and section counts with right checksums are refused", async () => {
  for (const name of fileNames) {
    const sound = SOUND.contents.get(name) ?? NOTHING
    const sections = viewOf(sound).getUint16(10, true)
    for (let index = 0; index < sections; index++)
      for (const field of [8, 16])
        for (const value of [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n, BigInt(sound.length), 0n]) {
          const at = HEADER_BYTES + index * TABLE_ENTRY_BYTES + field
          if (viewOf(sound).getBigUint64(at, true) === value) continue
          const files = withChanged(name, (copy) => {
            viewOf(copy).setBigUint64(at, value, true)
            return forge(copy, true)
          })
          const { found } = await everything(files)
          expect({ index, field, value, found }).toEqual({ index, field, value, found: 1 })
        }
    for (const count of [0, sections + 1, 17, 0xffff]) {
      const files = withChanged(name, (copy) => {
        viewOf(copy).setUint16(10, count, true)
        return forge(copy, true)
      })
      expect((await everything(files)).found).toBe(1)
    }
  }
})

test("another release's file is left alone", async () => {
  const name = checkpointNames.find((each) => loadableWithout(each) === SHORT) ?? ""
  const files = withChanged(name, (copy) => {
    viewOf(copy).setUint16(6, 2, true)
    return forge(copy)
  })
  expect(await everything(files)).toEqual({ loaded: SHORT, found: 0 })
  expect(files.contents.has(name)).toBe(true)
})

test("a page of other token ids than its key names is found", async () => {
  const name = segmentNames.find((each) => loadableWithout(each) === SHORT) ?? ""
  const files = withChanged(name, (copy) => {
    const at = extentOf(copy, "page").begin + 40
    viewOf(copy).setInt32(at, viewOf(copy).getInt32(at, true) + 1, true)
    return forge(copy)
  })
  expect(await everything(files)).toEqual({ loaded: SHORT, found: 1 })
})

test("a text that gives more than memory is refused", async () => {
  const name = checkpointNames.find((each) => loadableWithout(each) === SHORT) ?? ""
  const files = withChanged(name, (copy) => {
    const { begin, end } = extentOf(copy, "text")
    // A zstd frame header whose content size is 2^64 - 1.
    copy.set(
      [0x28, 0xb5, 0x2f, 0xfd, 0xe0, ...Array.from({ length: 8 }, () => 0xff)].slice(
        0,
        end - begin,
      ),
      begin,
    )
    return forge(copy)
  })
  const store = await open(files)
  const key = store.lookup(PROMPT)?.key ?? ""
  expect(await codeOf(store.text(key))).toBe("DAMAGED")
})

test("a segment that is written again brings its checkpoints back", async () => {
  const name = segmentNames.find((each) => loadableWithout(each) === 0) ?? ""
  const files = withChanged(name, (copy) => copy.fill(1, 4096, 4100))
  const store = await open(files)
  expect(await loadLongest(store)).toBe(0)
  expect(store.list().map(({ isUsable }) => isUsable)).toEqual([false, false])
  await saveIds(store, IDS.subarray(0, 2100))
  expect(await loadLongest(store)).toBe(LONG)
})

test("three damaged files are kept, and no more", async () => {
  const files = new MemoryFiles()
  const store = await open(files)
  for (let seed = 0; seed < 5; seed++) await saveIds(store, tokenIds(10, seed + 100))
  for (const [name, bytes] of files.contents)
    if (name.startsWith("checkpoints/")) files.put(name, bytes.slice().fill(9, 70, 71))
  expect((await store.verify()).damaged).toHaveLength(5)
  expect([...files.contents.keys()].filter((each) => each.startsWith("q"))).toHaveLength(3)
  expect(store.list()).toEqual([])
})

test("mutated files never do worse than being refused", async () => {
  const random = randomNumbers(2026)
  const rounds = Number(process.env.DS4_KV_FUZZ_ROUNDS ?? 400)
  const seen = new Set<number>()
  for (let round = 0; round < rounds; round++) {
    const name = fileNames[Math.floor(random() * fileNames.length)] ?? ""
    const isForged = random() < 0.5
    const store = await open(withChanged(name, (copy) => mutated(copy, random, isForged)))
    const loaded = await loadLongest(store, { isForged })
    seen.add(loaded)
    await store.verify()
    for (const { key } of store.list()) await codeOf(store.text(key))
    await store.gc()
    expect(await saveIds(store, tokenIds(100, round))).toMatchObject({ saved: true })
  }
  expect([...seen]).toEqual(expect.arrayContaining([0, SHORT, LONG]))
})

/** A few changes of bytes or words, mostly near the begin; sometimes with right checksums. */
function mutated(bytes: Uint8Array, random: () => number, isForged: boolean): Uint8Array {
  let copy = bytes
  for (let change = Math.ceil(random() * 4); change > 0; change--) {
    const reach = random() < 0.7 ? 512 : copy.length
    const at = Math.floor(random() * Math.max(0, Math.min(reach, copy.length) - 8))
    const kind = Math.floor(random() * 4)
    if (kind === 0) copy[at] = Math.floor(random() * 256)
    if (kind === 1) viewOf(copy).setUint32(at & ~3, HOSTILE[change] ?? 0, true)
    if (kind === 2) copy.copyWithin(at, Math.floor(random() * copy.length))
    if (kind === 3) copy = copy.slice(0, Math.max(120, copy.length - Math.floor(random() * 64)))
  }
  try {
    return isForged ? forge(copy) : copy
  } catch {
    return copy // its table leads out of the file
  }
}
