// A session that is saved on disk goes on as if it had never been away. Its logits are the same,
// bit for bit, at positions around windows and pages.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { NativeEngine, SessionHandle } from "@ds4/engine"
import { compatibilityOf, KvStore, type Compatibility } from "@ds4/kv-store"
import { openCheckpoint } from "../parity/support/checkpoints.ts"

setDefaultTimeout(120_000)

const CONTEXT = 4096
const TOKENIZER = "tokens are numbers here"

let engine: NativeEngine
let folder: string
let compatibility: Compatibility
beforeAll(async () => {
  engine = await openCheckpoint("tiny-a", "safetensors", {
    contextTokens: CONTEXT,
    experts: { place: "mapped" },
  })
  folder = mkdtempSync(join(tmpdir(), "ds4-kv-store-"))
  using session = engine.openSession(CONTEXT)
  using mark = session.mark()
  compatibility = compatibilityOf(mark.readRegion(0), TOKENIZER)
})
afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true })
})

const open = (name: string): Promise<KvStore> =>
  KvStore.open({
    folder: join(folder, name),
    compatibility,
    budgetBytes: 2 ** 32,
    minimumFreeBytes: 0,
  })

const idsOf = (count: number): Int32Array =>
  Int32Array.from({ length: count }, (_, i) => (i * 7919 + (i >> 3) * 31) % 500)

/** Feeds ids in chunks; logits of the last one. */
function feed(session: SessionHandle, ids: Int32Array): Float32Array {
  let logits: Float32Array = new Float32Array(0)
  for (let at = 0; at < ids.length; at += 512) {
    const tokens = [...ids.subarray(at, at + 512)]
    logits = Float32Array.from(engine.step([{ session, tokens, rows: "LAST" }]))
  }
  return logits
}

const argmax = (values: Float32Array): number =>
  values.reduce((best, value, index) => (value > (values[best] ?? -Infinity) ? index : best), 0)

/** Greedy tokens after `first`, and the logits of the last one. */
function decode(session: SessionHandle, first: number): { ids: number[]; logits: Float32Array } {
  const ids = [first]
  let logits: Float32Array = new Float32Array(0)
  for (let count = 0; count < 64; count++) {
    logits = feed(session, Int32Array.of(ids.at(-1) ?? 0))
    ids.push(argmax(logits))
  }
  return { ids, logits }
}

/** A session that begins where the store's best match for these ids ends. */
async function restored(store: KvStore, prompt: Int32Array): Promise<SessionHandle> {
  const match = store.lookup(prompt)
  if (match === undefined) throw new Error("nothing was found")
  using mark = await engine.importMark(store.read(match.key, { prompt }))
  expect(mark.position).toBe(match.position)
  return engine.openSession(CONTEXT, mark)
}

test.each([1, 127, 128, 129, 511, 2047, 2048, 2049, 4000])(
  "a session of %d tokens decodes 64 more, with the same logits as one that was never saved",
  async (length) => {
    const ids = idsOf(length)
    const prompt = idsOf(length + 1)
    const next = prompt[length] ?? 0
    using session = engine.openSession(CONTEXT)
    feed(session, ids)
    {
      await using store = await open(String(length))
      using mark = session.mark()
      const result = await store.save(mark, { shown: ids, reason: "turn" })
      expect(result).toMatchObject({ saved: true, segmentsWritten: Math.floor(length / 2048) })
    }
    const expected = decode(session, next)
    await using store = await open(String(length))
    using again = await restored(store, prompt)
    const got = decode(again, next)
    expect(got.ids).toEqual(expected.ids)
    expect(got.logits).toEqual(expected.logits)
    expect((await store.verify()).damaged).toEqual([])
  },
)

test("a session that is cut back and goes another way shares its first page on disk", async () => {
  await using store = await open("cut")
  using session = engine.openSession(CONTEXT)
  const ids = idsOf(4090)
  feed(session, ids.subarray(0, 3000))
  using early = session.mark()
  feed(session, ids.subarray(3000))
  using late = session.mark()
  expect(await store.save(late, { shown: ids, reason: "turn" })).toMatchObject({
    segmentsWritten: 1,
  })
  session.cut(early)
  const other = Int32Array.from([...ids.subarray(0, 3000), 9, 8, 7, 6, 5])
  feed(session, other.subarray(3000))
  using branch = session.mark()
  expect(await store.save(branch, { shown: other, reason: "turn" })).toMatchObject({
    segmentsWritten: 0,
  })
  const prompt = Int32Array.from([...other, 3])
  using again = await restored(store, prompt)
  expect(Buffer.compare(again.snapshot(), session.snapshot())).toBe(0)
})
