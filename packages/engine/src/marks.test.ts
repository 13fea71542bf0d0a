// Marks of sessions over models/tiny: branches, cuts, and snapshots that never lie in memory whole.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadModel, type MarkHandle, type NativeEngine, type SessionHandle } from "./index.ts"
import { TINY_MODEL } from "./testing/tiny-engine.ts"

let engine: NativeEngine
let folder: string
beforeAll(async () => {
  engine = (await loadModel(TINY_MODEL, { maxSessions: 1, experts: { place: "mapped" } })).engine
  folder = mkdtempSync(join(tmpdir(), "ds4-marks-"))
})
afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true })
})

const tokens = (count: number, stream: number): number[] =>
  Array.from({ length: count }, (_, i) => (i * 7919 + stream * 31) % 500)

function step(session: SessionHandle, ids: number[]): Float32Array {
  for (; ids.length > 512; ids = ids.slice(512))
    engine.step([{ session, tokens: ids.slice(0, 512), rows: "NONE" }])
  return engine.step([{ session, tokens: ids, rows: "LAST" }])
}

function whole(mark: MarkHandle): Uint8Array {
  return Buffer.concat([...mark.regions()])
}

test("sessions branch off a mark, and the first one is cut back to it", () => {
  using first = engine.openSession(4096)
  step(first, tokens(2100, 1))
  using mark = first.mark()
  using left = engine.openSession(4096, mark)
  using right = engine.openSession(4096, mark)
  expect([mark.position, left.position, right.position]).toEqual([2100, 2100, 2100])
  using plain = engine.openSession(4096)
  step(plain, tokens(2100, 1))
  const expected = step(plain, tokens(9, 2))
  step(right, tokens(9, 3))
  step(first, tokens(40, 4))
  expect(step(left, tokens(9, 2))).toEqual(expected)
  first.cut(mark)
  expect(first.position).toBe(2100)
  expect(step(first, tokens(9, 2))).toEqual(expected)
  expect(left.snapshot()).toEqual(first.snapshot())
  expect(mark.bytes).toBeGreaterThan(0)
})

test("only a mark that the session has passed can be cut back to", () => {
  using one = engine.openSession(256)
  using other = engine.openSession(256)
  step(one, tokens(20, 1))
  step(other, tokens(30, 2))
  using mark = one.mark()
  expect(() => other.cut(mark)).toThrow("has not passed the mark at position 20")
  expect(other.position).toBe(30)
  expect(() => engine.openSession(19, mark)).toThrow("the session's context is 19")
  mark.close()
  expect(() => engine.openSession(256, mark)).toThrow("this mark has been closed")
})

test("a snapshot goes through a file region by region and is read back in chunks", async () => {
  using session = engine.openSession(4096)
  step(session, tokens(2500, 5))
  using mark = session.mark()
  const path = join(folder, "snapshot")
  const file = Bun.file(path).writer()
  const sizes: number[] = []
  for (const region of mark.regions()) {
    sizes.push(region.length)
    await file.write(region)
    step(session, [7]) // the session goes on meanwhile
  }
  await file.end()
  expect(sizes).toEqual(mark.regionBytes)
  expect(sizes.length).toBe(4)
  expect(() => mark.readRegion(4)).toThrow("region 4 of 4")
  using imported = await engine.importMark(Bun.file(path).stream())
  expect(imported.position).toBe(2500)
  expect(whole(imported)).toEqual(whole(mark))
  using restored = engine.openSession(4096, imported)
  using branch = engine.openSession(4096, mark)
  expect(step(restored, tokens(9, 6))).toEqual(step(branch, tokens(9, 6)))
})

test("a damaged, cut or foreign snapshot gives no mark and says why", async () => {
  using session = engine.openSession(4096)
  step(session, tokens(100, 5))
  using mark = session.mark()
  const bytes = whole(mark)
  const read = async (by: NativeEngine, ...chunks: Uint8Array[]): Promise<string> => {
    try {
      using _ = await by.importMark(chunks)
      return "taken"
    } catch (error) {
      return String(error)
    }
  }
  expect(await read(engine, bytes)).toBe("taken")
  expect(await read(engine, bytes.subarray(0, 30), new Uint8Array(0), bytes.subarray(30))).toBe(
    "taken",
  )
  const damaged = bytes.slice()
  damaged[bytes.length - 100] = (damaged[bytes.length - 100] ?? 0) ^ 1
  expect(await read(engine, damaged)).toContain("the checksum of region 2")
  expect(await read(engine, bytes.subarray(0, bytes.length - 1))).toContain(
    "the snapshot ends after",
  )
  const { engine: plain } = await loadModel(TINY_MODEL, { maxSessions: 1, numerics: "plain" })
  expect(await read(plain, bytes)).toContain("this engine computes with f32 KV rows")
  await plain.close()
})
