// GET /v1/responses/{id}/input_items: everything that went into a response, page by page.
import { Type } from "@sinclair/typebox"
import { invalid } from "../../http/api-error.ts"
import { shownValue } from "../../http/shown-value.ts"
import type { StoredResponse } from "../../stored-responses/stored-response.ts"
import { decodeItems, isItem, shownOutput } from "./stored-items.ts"

type Query = Readonly<Record<string, unknown>>

export const InputItemList = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(Type.Object({ id: Type.String() }, { additionalProperties: true })),
  first_id: Type.Union([Type.String(), Type.Null()]),
  last_id: Type.Union([Type.String(), Type.Null()]),
  has_more: Type.Boolean(),
})

export const INPUT_ITEM_QUERY = [
  { name: "limit", description: "items of a page, 1 to 100; default 20", schema: Type.Integer() },
  {
    name: "order",
    description: "asc: the first item first; default desc",
    schema: Type.Union([Type.Literal("asc"), Type.Literal("desc")]),
  },
  { name: "after", description: "the last item of the page before", schema: Type.String() },
] as const

const LARGEST_PAGE = 100
const USUAL_PAGE = "20"

/**
 * @param chain the response and all before it, the first one first
 * @throws ApiError 400 for a query that is none
 */
export async function inputItemPage(chain: readonly StoredResponse[], query: Query) {
  const { limit, isAscending, after } = readQuery(query)
  const items = await inputOf(chain)
  if (!isAscending) items.reverse()
  const at = after === undefined ? -1 : items.findIndex(({ id }) => id === after)
  if (after !== undefined && at < 0)
    throw invalid(`after is ${shownValue(after)}; expected the id of an input item`, "after")
  const data = items.slice(at + 1, at + 1 + limit)
  return {
    object: "list",
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: at + 1 + limit < items.length,
  }
}

function readQuery({ limit = USUAL_PAGE, order = "desc", after }: Query) {
  const count = Number(limit)
  if (!Number.isInteger(count) || count < 1 || count > LARGEST_PAGE)
    throw invalid(`limit is ${shownValue(limit)}; expected 1 to ${LARGEST_PAGE}`, "limit")
  if (order !== "asc" && order !== "desc")
    throw invalid(`order is ${shownValue(order)}; expected asc or desc`, "order")
  return {
    limit: count,
    isAscending: order === "asc",
    after: typeof after === "string" && after !== "" ? after : undefined,
  }
}

/** The input of a response, that of those before it included; as the vendor shows items. */
async function inputOf(chain: readonly StoredResponse[]) {
  const all: { id: string }[] = []
  for (const [index, { items }] of chain.entries()) {
    const stored = await decodeItems(items)
    for (const { id, item } of stored.input) all.push(shownInput(id, item))
    if (index < chain.length - 1)
      for (const item of shownOutput(stored)) all.push({ ...item, id: String(item["id"]) })
  }
  return all
}

/** An input item with its id; the text of a message is shown as a part. */
function shownInput(id: string, item: unknown): { id: string } {
  const fields = isItem(item) ? item : {}
  const { role, type = "message", content, status } = fields
  if (type !== "message") return { ...fields, id }
  const partType = role === "assistant" ? "output_text" : "input_text"
  return {
    ...fields,
    type: "message",
    role: role ?? "user",
    status: status ?? "completed",
    ...(typeof content === "string" ? { content: [{ type: partType, text: content }] } : {}),
    id,
  } as { id: string }
}
