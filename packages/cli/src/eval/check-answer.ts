import { isDeepStrictEqual } from "node:util"
import type { Expectation } from "./suite.ts"

interface GivenAnswer {
  readonly content: string
  readonly calls: readonly { readonly name: string; readonly arguments: string }[]
}

/** Arguments as a value; text that is not JSON equals nothing. */
function argumentsOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function lastNumber(text: string): number | undefined {
  const found = text
    .replaceAll(/(?<=\d),(?=\d{3})/g, "")
    .match(/-?\d+(?:\.\d+)?/g)
    ?.at(-1)
  return found === undefined ? undefined : Number(found)
}

/** Whether an answer is what its item expects. */
export function isRight(answer: GivenAnswer, expected: Expectation): boolean {
  const content = answer.content.trim()
  if (expected.calls !== undefined) {
    const given = answer.calls.map((call) => ({
      name: call.name,
      arguments: argumentsOf(call.arguments),
    }))
    return isDeepStrictEqual(given, expected.calls)
  }
  if (answer.calls.length > 0) return false
  if (expected.no_calls === true) return content !== ""
  if (expected.number !== undefined) return lastNumber(content) === expected.number
  if (expected.equals !== undefined) return content === expected.equals.trim()
  const lower = content.toLowerCase()
  return (expected.contains ?? []).every((part) => lower.includes(part.toLowerCase()))
}
