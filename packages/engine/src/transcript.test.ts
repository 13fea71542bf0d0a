import { expect, test } from "bun:test"
import { Transcript } from "./transcript.ts"

const FRESH = { heldTokens: new Int32Array(), cachedTokens: 0 }
const THINK_CLOSE = 7
/** Leaves out the last id of the prompt and everything before the close. */
const shownAs = (generated: readonly number[]) =>
  generated.includes(THINK_CLOSE)
    ? [1, 2, ...generated.slice(generated.indexOf(THINK_CLOSE))]
    : undefined

function made(transcript: Transcript, ids: readonly number[]): Transcript {
  for (const id of ids) transcript.push(id)
  return transcript
}

const heldOf = (turn: Transcript, position: number): number[] => [...turn.heldUpTo(position)]
const shownOf = (turn: Transcript, position: number): number[][] =>
  turn.shownUpTo(position).map((ids) => [...ids])

test(
  "a turn is shown without what its function leaves out, and a cut one as far as it is " + "held",
  () => {
    const turn = made(new Transcript(FRESH, [1, 2, 3], shownAs), [5, 6, THINK_CLOSE, 8, 9])
    expect(turn.length).toBe(8)
    expect(heldOf(turn, 8)).toEqual([1, 2, 3, 5, 6, THINK_CLOSE, 8, 9])
    expect(shownOf(turn, 8)).toEqual([[1, 2, THINK_CLOSE, 8, 9]])
    expect(heldOf(turn, 7)).toEqual([1, 2, 3, 5, 6, THINK_CLOSE, 8])
    expect(shownOf(turn, 7)).toEqual([[1, 2, THINK_CLOSE, 8]])
    // it was still thinking: prompts show it as it is, if at all
    expect(shownOf(turn, 5)).toEqual([])
    expect(shownOf(turn, 2)).toEqual([])
  },
)

test("after something was left out, every later turn is shown by its prompt", () => {
  const heldTokens = Int32Array.of(1, 2, 3, 5, 6, THINK_CLOSE, 8, 9)
  const before = { heldTokens, cachedTokens: 5 }
  const turn = made(new Transcript(before, [1, 2, THINK_CLOSE, 8, 9, 4], undefined), [10, 11])
  expect(heldOf(turn, turn.length)).toEqual([...heldTokens, 4, 10, 11])
  expect(shownOf(turn, turn.length)).toEqual([[1, 2, THINK_CLOSE, 8, 9, 4, 10, 11]])
  expect(shownOf(turn, turn.length - 2)).toEqual([[1, 2, THINK_CLOSE, 8, 9, 4]])
  expect(shownOf(turn, heldTokens.length)).toEqual([[1, 2, THINK_CLOSE, 8, 9]])
})

test("a turn that leaves more out is also shown as this prompt and its answer", () => {
  const before = { heldTokens: Int32Array.of(1, 9, 2), cachedTokens: 2 }
  const turn = made(new Transcript(before, [1, 2, 3], shownAs), [5, THINK_CLOSE, 8])
  expect(shownOf(turn, turn.length)).toEqual([
    [1, 2, THINK_CLOSE, 8],
    [1, 2, 3, 5, THINK_CLOSE, 8],
  ])
})

test("where nothing is left out there is one form", () => {
  expect(shownOf(made(new Transcript(FRESH, [1, 2], undefined), [3]), 3)).toEqual([])
})
