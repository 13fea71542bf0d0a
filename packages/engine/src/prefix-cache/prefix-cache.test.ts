import { expect, test } from "bun:test"
import { PrefixCache } from "./prefix-cache.ts"

interface Mark {
  position: number
  ownBytes: number
  isClosed: boolean
  close(): void
}

const list = (...tokens: number[]): Int32Array => Int32Array.from(tokens)
const range = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, index) => first + index)

function makeCache(budgetBytes = Infinity, contextTokens = 1000, memoryBytes = Infinity) {
  const marks: Mark[] = []
  const usedBytes = (): number =>
    marks.reduce((sum, mark) => sum + (mark.isClosed ? 0 : mark.ownBytes), 0)
  let time = 0
  const cache = new PrefixCache<Mark>({
    usedBytes,
    roomBytes: () => memoryBytes - usedBytes(),
    budgetBytes,
    contextTokens,
    now: () => time,
  })
  const add = (
    held: number[],
    more: { shown?: number[][]; hint?: string; bytes?: number } = {},
  ) => {
    const mark: Mark = {
      position: held.length,
      ownBytes: more.bytes ?? 1,
      isClosed: false,
      close: () => void (mark.isClosed = true),
    }
    marks.push(mark)
    cache.add({
      mark,
      held: list(...held),
      shown: (more.shown ?? []).map((tokens) => list(...tokens)),
      hint: more.hint,
    })
    return mark
  }
  const use = (prompt: number[]): void => cache.record(cache.find(list(...prompt), undefined))
  return { cache, add, use, pass: (ms: number) => void (time += ms) }
}

test("the longest beginning is found, and one token is always left to process", () => {
  const { cache, add } = makeCache()
  const short = add([1, 2])
  const long = add([1, 2, 3, 4])
  expect(cache.find(list(1, 2, 3, 4, 5), undefined)).toMatchObject({ mark: long, length: 4 })
  expect(cache.find(list(1, 2, 3, 4), undefined)).toMatchObject({ mark: short, length: 2 })
  expect(cache.find(list(1, 2, 9), undefined)).toMatchObject({ mark: short, length: 2 })
  expect(cache.find(list(2, 2, 9), undefined)).toBeUndefined()
})

test(
  "a state is found by what prompts show of it, unless what they leave out takes too much " +
    "room",
  () => {
    const { cache, add } = makeCache(Infinity, 20)
    const mark = add([1, 2, 9, 9, 9, 3], { shown: [[1, 3]] }) // four left out
    const found = cache.find(list(1, 3, 4), undefined) // leaves room for 17
    expect(found).toMatchObject({ mark, length: 2 })
    expect([...(found?.held ?? [])]).toEqual([1, 2, 9, 9, 9, 3])
    expect(cache.find(list(1, 3, ...range(11)), undefined)).toBeUndefined() // room for 7
    expect(cache.find(list(1, 2, 9, 9, 9, 3, 4), undefined)).toMatchObject({ mark, length: 6 })
  },
)

test("of states that serve equally well the conversation's own is taken, else the newest", () => {
  const { cache, add, pass } = makeCache()
  const mine = add([1, 5, 3], { shown: [[1, 3]], hint: "me" })
  pass(1)
  const newest = add([1, 6, 3], { shown: [[1, 3]], hint: "you" })
  expect(cache.find(list(1, 3, 4), "me")?.mark).toBe(mine)
  expect(cache.find(list(1, 3, 4), "you")?.mark).toBe(newest)
  expect(cache.find(list(1, 3, 4), undefined)?.mark).toBe(newest)
})

test("a second state of the same tokens is closed, and lends its other names to the first", () => {
  const { cache, add } = makeCache()
  const first = add([1, 2, 3])
  const second = add([1, 2, 3], { shown: [[1, 3]] })
  expect([first.isClosed, second.isClosed]).toEqual([false, true])
  expect(cache.find(list(1, 3, 4), undefined)?.mark).toBe(first)
  expect(add([]).isClosed).toBe(true)
  expect(cache.stats.prefixes).toBe(1)
})

test("what spares least for its bytes goes first, and what was just added stays", () => {
  const { add } = makeCache(30)
  const long = add(range(100), { bytes: 10 })
  const tail = add(range(104), { bytes: 10 }) // spares 4 more than the one before it
  const other = add(range(50, 500), { bytes: 10 })
  const last = add(range(2, 900), { bytes: 10 })
  expect([long, tail, other, last].map(({ isClosed }) => isClosed)).toEqual([
    false,
    true,
    false,
    false,
  ])
})

test("uses count, and count less with time", () => {
  const { add, use, pass } = makeCache(20)
  const often = add([1, ...range(50)], { bytes: 10 })
  const once = add([2, ...range(60)], { bytes: 10 })
  for (let times = 0; times < 5; times++) use([1, ...range(60)])
  const third = add([3, ...range(70)], { bytes: 10 })
  expect([often.isClosed, once.isClosed]).toEqual([false, true])
  pass(48 * 3_600_000) // two days: the uses of the past are worth nothing
  use([3, ...range(80)])
  add([4, ...range(40)], { bytes: 10 })
  expect([often.isClosed, third.isClosed]).toEqual([true, false])
})

test("a clock that goes back makes no state worth more than one that is used now", () => {
  const { add, pass } = makeCache(20)
  const a = add([1, ...range(50)], { bytes: 10 })
  pass(-1_000_000_000)
  const b = add([2, ...range(60)], { bytes: 10 })
  add([3, ...range(70)], { bytes: 10 })
  expect([a.isClosed, b.isClosed]).toEqual([true, false])
})

test("states give way to a session that needs the memory, those that spare least first", () => {
  const { cache, add } = makeCache(Infinity, 1000, 35)
  const marks = [range(100), range(50, 500), range(70, 900)].map((held) => add(held, { bytes: 10 }))
  cache.makeRoom(5)
  expect(marks.map(({ isClosed }) => isClosed)).toEqual([false, false, false])
  cache.makeRoom(20)
  expect(marks.map(({ isClosed }) => isClosed)).toEqual([false, true, true])
  cache.makeRoom(1000)
  expect(cache.stats.prefixes).toBe(0)
})

test("clearing closes all but the one that is needed", () => {
  const { cache, add } = makeCache()
  const a = add([1])
  const b = add([2])
  cache.clear(a)
  expect([a.isClosed, b.isClosed, cache.stats.prefixes]).toEqual([false, true, 1])
  cache.clear()
  expect(a.isClosed).toBe(true)
  expect(cache.find(list(1, 2), undefined)).toBeUndefined()
})

/** An obvious model: the longest list given so far that begins the prompt. */
test("over random traffic the longest beginning is found, whatever was evicted is not", () => {
  let seed = 12345
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return (seed >> 8) % below
  }
  const { cache, add } = makeCache(40)
  const added: { mark: Mark; tokens: number[] }[] = []
  for (let step = 0; step < 3000; step++) {
    const tokens = Array.from({ length: 1 + random(8) }, () => random(2))
    if (random(2) === 0) added.push({ mark: add(tokens), tokens })
    const prompt = Array.from({ length: 1 + random(9) }, () => random(2))
    const lengths = added
      .filter(({ mark }) => !mark.isClosed)
      .map((each) => each.tokens)
      .filter((held) => held.length < prompt.length && held.every((id, i) => prompt[i] === id))
      .map(({ length }) => length)
    expect(cache.find(list(...prompt), undefined)?.length ?? 0).toBe(Math.max(0, ...lengths))
  }
  expect(cache.stats.prefixes).toBeLessThanOrEqual(40)
})
