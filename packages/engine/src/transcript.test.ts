import { expect, test } from "bun:test"
import { Transcript } from "./transcript.ts"

const FRESH = { heldTokens: [], cachedTokens: 0 }
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

test(
  "a turn is shown without what its function leaves out, and a cut one as far as it " + "is held",
  () => {
    const turn = made(new Transcript(FRESH, [1, 2, 3], shownAs), [5, 6, THINK_CLOSE, 8, 9])
    expect(turn.length).toBe(8)
    expect(turn.heldUpTo(8)).toEqual([1, 2, 3, 5, 6, THINK_CLOSE, 8, 9])
    expect(turn.shownUpTo(8)).toEqual([1, 2, THINK_CLOSE, 8, 9])
    expect([turn.heldUpTo(7), turn.shownUpTo(7)]).toEqual([
      [1, 2, 3, 5, 6, THINK_CLOSE, 8],
      [1, 2, THINK_CLOSE, 8],
    ])
    // it was still thinking: prompts show it as it is, if at all
    expect(turn.shownUpTo(5)).toBeUndefined()
    expect(turn.shownUpTo(2)).toBeUndefined()
  },
)

test("after something was left out, every later turn is shown by its prompt", () => {
  const before = { heldTokens: [1, 2, 3, 5, 6, THINK_CLOSE, 8, 9], cachedTokens: 5 }
  const turn = made(new Transcript(before, [1, 2, THINK_CLOSE, 8, 9, 4], undefined), [10, 11])
  expect(turn.heldUpTo(turn.length)).toEqual([...before.heldTokens, 4, 10, 11])
  expect(turn.shownUpTo(turn.length)).toEqual([1, 2, THINK_CLOSE, 8, 9, 4, 10, 11])
  expect(turn.shownUpTo(turn.length - 2)).toEqual([1, 2, THINK_CLOSE, 8, 9, 4])
  expect(turn.shownUpTo(before.heldTokens.length)).toEqual([1, 2, THINK_CLOSE, 8, 9])
})

test("where nothing is left out there is one form", () => {
  expect(made(new Transcript(FRESH, [1, 2], undefined), [3]).shownUpTo(3)).toBeUndefined()
})
