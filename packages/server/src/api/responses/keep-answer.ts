import { ApiError } from "../../http/api-error.ts"
import type { Continuation, Shelf } from "./continuation.ts"
import { encodeItems, inputBytes } from "./stored-items.ts"
import type { ResponseIdentity, ResponseStreamWriter } from "./writer.ts"

/**
 * Whether the response to a request is stored. One whose request alone is beyond the limit is not,
 * and says so.
 */
export function isStored(
  asked: boolean | null | undefined,
  { input }: Continuation,
  { store }: Shelf,
): boolean {
  return asked !== false && store.accepts(inputBytes(input))
}

/** Stores the answer when it ends: the first call counts. */
export function keeperOf(
  { before, input }: Continuation,
  { store, owner }: Shelf,
  { id, reasoning }: ResponseIdentity,
  writer: ResponseStreamWriter,
): (failure: unknown) => Promise<void> {
  let isKept = false
  return async (failure) => {
    if (isKept) return
    isKept = true
    const final = writer.finalObject(isCancellation(failure))
    if (final === undefined) return
    const { output: _items, ...response } = final
    const itemIds = [...input, ...writer.items].map((each) => String(each.id))
    const stored = {
      id,
      previous: before.at(-1)?.id,
      owner,
      itemIds,
      items: encodeItems({ input, output: writer.items, reasoning }),
      response: Buffer.from(JSON.stringify(response)),
    }
    await store.save(stored, before)
  }
}

/** Somebody ended the answer, or its client is gone. */
function isCancellation(failure: unknown): boolean {
  return (
    failure instanceof ApiError &&
    ["CLIENT_GONE", "CANCELLED", "CANCELLED_BY_OPERATOR"].includes(failure.code)
  )
}
