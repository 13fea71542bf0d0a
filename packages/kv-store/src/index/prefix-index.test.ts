import { expect, test } from "bun:test"
import { shownHashes } from "../format/keys.ts"
import { PAGE_TOKENS } from "../format/layout.ts"
import { randomNumbers } from "../testing/file-map.ts"
import { tokenIds, withOther } from "../testing/synthetic-state.ts"
import { PrefixIndex, type PrefixPlace } from "./prefix-index.ts"

const placeOf = (ids: Int32Array): PrefixPlace => ({
  hashes: shownHashes(ids),
  tail: ids.subarray(ids.length - (ids.length % PAGE_TOKENS)),
})

const isPrefix = (a: Int32Array, b: Int32Array): boolean =>
  a.length <= b.length && a.every((id, index) => id === b[index])

test("random edits of conversations find exactly what a plain comparison finds", () => {
  const random = randomNumbers(3)
  const index = new PrefixIndex<number>()
  const stored = new Map<number, Int32Array>()
  // Few ids and lengths around the border of a block, so that lists often agree.
  const bases = [1, 2, 3].map((seed) => tokenIds(2 * PAGE_TOKENS + 20, seed))
  const edited = (): Int32Array => {
    const base = bases[Math.floor(random() * bases.length)] ?? new Int32Array(0)
    const near =
      [0, 3, PAGE_TOKENS - 3, PAGE_TOKENS, 2 * PAGE_TOKENS][Math.floor(random() * 5)] ?? 0
    const kept = near + Math.floor(random() * 6)
    return withOther(base, kept, Math.floor(random() * 4), Math.ceil(random() * 2))
  }
  let found = 0
  for (let round = 0; round < 3000; round++) {
    const ids = edited()
    const old = [...stored.keys()][Math.floor(random() * stored.size)]
    if (random() < 0.45 && old !== undefined) {
      expect(index.remove(placeOf(stored.get(old) ?? ids), old)).toBe(true)
      stored.delete(old)
    } else if (random() < 0.6) {
      index.insert(placeOf(ids), round)
      stored.set(round, ids)
    }
    const prompt = edited()
    const expected = [...stored].filter(([, each]) => isPrefix(each, prompt))
    const values = [...index.prefixesOf(prompt)]
    expect(values.toSorted((a, b) => a - b)).toEqual(expected.map(([value]) => value))
    const lengths = values.map((value) => stored.get(value)?.length ?? -1)
    expect(lengths).toEqual(lengths.toSorted((a, b) => b - a))
    found += values.length
  }
  expect(found).toBeGreaterThan(400)
  for (const [value, ids] of stored) index.remove(placeOf(ids), value)
  expect(index.isEmpty).toBe(true)
})

test("a value that is not there is not removed", () => {
  const index = new PrefixIndex<number>()
  const ids = tokenIds(PAGE_TOKENS + 9, 4)
  index.insert(placeOf(ids), 1)
  expect(index.remove(placeOf(ids), 2)).toBe(false)
  expect(index.remove(placeOf(ids.subarray(0, 9)), 1)).toBe(false)
  expect(index.remove(placeOf(withOther(ids, PAGE_TOKENS + 5, 8, 5)), 1)).toBe(false)
  expect([...index.prefixesOf(ids)]).toEqual([1])
})
