import { expect, test } from "bun:test"
import { checkRequest } from "./check-request.ts"

const MODEL = { vocab: 10, contextTokens: 8 }
const prompt = (tokens: number): number[] => Array.from({ length: tokens }, () => 3)

test("a prompt fills the context at most, and ids lie in the vocabulary", () => {
  expect(checkRequest({ promptTokens: prompt(8) }, MODEL, 1).prompt).toHaveLength(8)
  expect(() => checkRequest({ promptTokens: prompt(9) }, MODEL, 1)).toThrow(
    "the prompt has 9 tokens; a session holds 8",
  )
  expect(() => checkRequest({ promptTokens: [] }, MODEL, 1)).toThrow("the prompt is empty")
  for (const id of [-1, 10, 0.5, NaN])
    expect(() => checkRequest({ promptTokens: [9, id] }, MODEL, 1)).toThrow(
      `promptTokens[1] is ${id}; this model's ids are 0..9`,
    )
})
