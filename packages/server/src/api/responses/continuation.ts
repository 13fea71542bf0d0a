// Finds the conversation that a request continues, and stored items that it names.
import { ApiError } from "../../http/api-error.ts"
import type { ResponseStore } from "../../stored-responses/response-store.ts"
import type { StoredResponse } from "../../stored-responses/stored-response.ts"
import type { ResponsesRequest } from "./schema.ts"
import {
  conversationOf,
  decodeItems,
  type InputItem,
  inputItemsOf,
  isItem,
  shownOutput,
  type StoredItems,
} from "./stored-items.ts"

/** Who asks, and where responses are kept. */
export interface Shelf {
  readonly store: ResponseStore
  readonly owner: string
}

export interface Continuation {
  /** The responses before, the first one first. */
  readonly before: readonly StoredResponse[]
  /** Their input and output items. */
  readonly history: readonly unknown[]
  /** The request's own items; references are replaced by what they name. */
  readonly input: readonly InputItem[]
}

type Named = Pick<ResponsesRequest, "input" | "previous_response_id">

/** @throws ApiError 404 where a response or an item is not stored */
export async function continuationOf(body: Named, shelf: Shelf): Promise<Continuation> {
  const before = await chainOf(body.previous_response_id, shelf)
  const items: StoredItems[] = []
  for (const each of before) items.push(await decodeItems(each.items))
  const { input } = body
  const given = typeof input === "string" ? [userMessage(input)] : input
  return {
    before,
    history: items.flatMap(conversationOf),
    input: inputItemsOf(await withoutReferences(given, shelf)),
  }
}

const userMessage = (text: string) => ({ type: "message", role: "user", content: text })

async function chainOf(
  id: string | null | undefined,
  { store, owner }: Shelf,
): Promise<readonly StoredResponse[]> {
  if (id === undefined || id === null) return []
  const chain = await store.chain(id, owner)
  if (chain !== undefined) return chain
  throw new ApiError(
    "NOT_FOUND",
    `Previous response with id '${id}' not found. It was not stored, still runs, was deleted or ` +
      "had to go, or belongs to another key; send the whole conversation as `input`",
    { param: "previous_response_id", reason: "previous_response_not_found" },
  )
}

/** Items with stored ones in the place of references to them. */
async function withoutReferences(
  items: readonly unknown[],
  shelf: Shelf,
): Promise<readonly unknown[]> {
  const decoded = new Map<string, StoredItems>()
  const found: unknown[] = []
  for (const [index, item] of items.entries())
    found.push(isReference(item) ? await named(item.id, index, shelf, decoded) : item)
  return found
}

function isReference(item: unknown): item is { id: string } {
  return isItem(item) && item["type"] === "item_reference" && typeof item["id"] === "string"
}

async function named(
  id: string,
  index: number,
  { store, owner }: Shelf,
  decoded: Map<string, StoredItems>,
): Promise<unknown> {
  const holder = await store.holderOf(id, owner)
  if (holder !== undefined) {
    const items = decoded.get(holder.id) ?? (await decodeItems(holder.items))
    decoded.set(holder.id, items)
    const input = items.input.find((each) => each.id === id)
    const item = input?.item ?? shownOutput(items).find((each) => each["id"] === id)
    if (item !== undefined) return item
  }
  throw new ApiError(
    "NOT_FOUND",
    `Item with id '${id}' not found: no stored response has it; send the item itself`,
    { param: `input[${index}].id`, reason: "item_not_found" },
  )
}
