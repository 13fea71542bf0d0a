import { expect } from "bun:test"
import { ModelFileError, type ModelFileErrorCode } from "../model-file-error.ts"

/** Expects a ModelFileError of this code whose message holds every one of `words`. */
export async function expectRefusal(
  action: Promise<unknown>,
  code: ModelFileErrorCode,
  ...words: string[]
): Promise<ModelFileError> {
  const outcome = await action.then(
    () => "was accepted",
    (error: unknown) => error,
  )
  if (!(outcome instanceof ModelFileError))
    throw new Error(`expected a ModelFileError ${code}, got ${String(outcome)}`)
  expect({ code: outcome.code, message: outcome.message }).toMatchObject({ code })
  for (const word of words) expect(outcome.message).toContain(word)
  return outcome
}
