import { readTextFlag } from "./answer-settings.ts"
import { messageOf, usageError } from "./errors.ts"

/** Checks an array of token ids; `where` names it in messages. */
export function checkIds(where: string, value: unknown, vocab: number): number[] {
  if (!Array.isArray(value) || value.length === 0)
    throw usageError(`${where}: expected a JSON array of token ids, at least one`)
  return value.map((id: unknown, index) => {
    if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < vocab) return id
    throw usageError(
      `${where}: entry ${index} is ${JSON.stringify(id)}; expected a token id of 0..${vocab - 1}`,
    )
  })
}

/** Token ids from a JSON file named by a flag. */
export function readIdsFlag(flag: string, path: string, vocab: number): number[] {
  let value: unknown
  try {
    value = JSON.parse(readTextFlag(flag, path))
  } catch (error) {
    throw error instanceof SyntaxError
      ? usageError(`--${flag} ${path} is not JSON: ${messageOf(error)}`)
      : error
  }
  return checkIds(path, value, vocab)
}
