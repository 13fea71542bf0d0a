import { expect, test } from "bun:test"
import { commonLength, type PrefixNode, PrefixTree } from "./prefix-tree.ts"

const list = (...tokens: number[]): Int32Array => Int32Array.from(tokens)

/** Small deterministic generator, so that a failure can be repeated. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >> 8) % below
  }
}

const begins = (short: Int32Array, long: Int32Array): boolean =>
  short.length <= long.length && short.every((token, index) => long[index] === token)

test("over random insertions and removals it finds what a list of all of them finds", () => {
  const random = randomOf(5)
  const tree = new PrefixTree<number>()
  let known: { tokens: Int32Array; value: number; place: PrefixNode<number> }[] = []
  const randomList = (): Int32Array => Int32Array.from({ length: random(9) }, () => random(2) + 7)
  for (let step = 0; step < 6000; step++) {
    if (random(5) < 2 && known.length > 0) {
      const gone = known[random(known.length)]
      if (gone === undefined) continue
      tree.remove(gone.place, gone.value)
      known = known.filter((each) => each !== gone)
    } else if (random(2) === 0) {
      const tokens = randomList()
      known.push({ tokens, value: step, place: tree.insert(tokens, step) })
    }
    const prompt = randomList()
    const expected = known.filter(({ tokens }) => begins(tokens, prompt))
    const found = tree.beginnings(prompt)
    expect(found.flatMap(({ values }) => values).sort((a, b) => a - b)).toEqual(
      expected.map(({ value }) => value).sort((a, b) => a - b),
    )
    expect(found.map(({ end }) => end)).toEqual(
      [...new Set(expected.map(({ tokens }) => tokens.length))].sort((a, b) => b - a),
    )
    for (const { tokens, place } of known) expect(place.end).toBe(tokens.length)
    const [some] = known
    if (some === undefined) continue
    const shorter = known.filter(
      ({ tokens }) => tokens.length < some.tokens.length && begins(tokens, some.tokens),
    )
    expect(tree.before(some.place)?.end).toBe(
      shorter.length === 0 ? undefined : Math.max(...shorter.map(({ tokens }) => tokens.length)),
    )
  }
})

test("a caller that reuses its array changes nothing in the tree", () => {
  const tree = new PrefixTree<string>()
  const tokens = list(1, 2, 3)
  tree.insert(tokens, "a")
  tokens.fill(9)
  expect(tree.beginnings(list(1, 2, 3, 4)).map(({ values }) => values)).toEqual([["a"]])
})

test("long lists are compared to the token", () => {
  const a = Int32Array.from({ length: 3000 }, (_, index) => index)
  for (const differing of [0, 1, 255, 256, 257, 1023, 2999]) {
    const b = a.slice()
    b[differing] = -1
    expect(commonLength(a, 0, b, 0)).toBe(differing)
    expect(commonLength(a, 5, b, 5)).toBe(differing < 5 ? 2995 : differing - 5)
  }
  expect(commonLength(a, 0, a.slice(0, 700), 0)).toBe(700)
})

test("the nearest list shares as much as any, and its next tokens are those of one", () => {
  const random = randomOf(11)
  for (let round = 0; round < 300; round++) {
    const tree = new PrefixTree<number>()
    const randomList = (): Int32Array => Int32Array.from({ length: random(9) }, () => random(2))
    const lists = Array.from({ length: random(6) }, randomList)
    for (const [value, tokens] of lists.entries()) tree.insert(tokens, value)
    const prompt = randomList()
    const shares = lists.map((tokens) => commonLength(tokens, 0, prompt, 0))
    const { shared, next } = tree.nearest(prompt, 3)
    expect(shared).toBe(Math.max(0, ...shares))
    const sharing = lists.filter((_, at) => shares[at] === shared)
    const isOfOne = sharing.some((tokens) =>
      Bun.deepEquals([...tokens.subarray(shared, shared + 3)], next),
    )
    expect(isOfOne || lists.length === 0).toBe(true)
    if (next.length > 0) expect(next[0]).not.toBe(prompt[shared])
  }
})
