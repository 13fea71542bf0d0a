// The items of a response as they are stored: what came in, as it was received, and what went out.
import { JsonError, jsonSourceOf, parseJsonInSlices } from "@ds4/chat"
import { randomId } from "../../answer/random-id.ts"
import { ApiError } from "../../http/api-error.ts"
import { type ReasoningShape, shownItem } from "./items.ts"

type Item = Record<string, unknown>

/** An input item and the id by which later requests may name it. */
export interface InputItem {
  readonly id: string
  readonly item: unknown
}

export interface StoredItems {
  readonly input: readonly InputItem[]
  /** With all reasoning, whatever the client was shown. */
  readonly output: readonly Item[]
  readonly reasoning: ReasoningShape
}

const ID_PREFIX: Readonly<Record<string, string>> = {
  message: "msg_",
  reasoning: "rs_",
  function_call: "fc_",
  function_call_output: "fco_",
  custom_tool_call: "ctc_",
  custom_tool_call_output: "ctco_",
}

/** A client's items, each with the id that it has or a new one. */
export function inputItemsOf(items: readonly unknown[]): InputItem[] {
  return items.map((item) => {
    const { id, type } = isItem(item) ? item : {}
    const kind = typeof type === "string" ? type : "message"
    const given = typeof id === "string" && id !== "" ? id : undefined
    return { id: given ?? randomId(ID_PREFIX[kind] ?? "item_"), item }
  })
}

/** Texts that clients sent are written as they came: numbers and the order of keys included. */
export function encodeItems({ input, output, reasoning }: StoredItems): Uint8Array {
  const ids = JSON.stringify(input.map(({ id }) => id))
  const items = input.map(({ item }) => jsonSourceOf(item)).join(",")
  const rest = `"output":${JSON.stringify(output)},"reasoning":${JSON.stringify(reasoning)}`
  return Buffer.from(`{"input_ids":${ids},"input":[${items}],${rest}}`)
}

/** Bytes that input items take when they are stored. */
export function inputBytes(input: readonly InputItem[]): number {
  return input.reduce((sum, { item }) => sum + Buffer.byteLength(jsonSourceOf(item)), 0)
}

const UNLIMITED = { values: Infinity, containers: Infinity, members: Infinity }

/** @throws ApiError 404 for bytes that this server did not write */
export async function decodeItems(bytes: Uint8Array): Promise<StoredItems> {
  const fields = await decodeObject(bytes)
  const { input, output, reasoning } = fields
  const ids = Array.isArray(fields["input_ids"]) ? (fields["input_ids"] as unknown[]) : []
  const shape = isItem(reasoning) ? reasoning : {}
  return {
    input: Array.isArray(input)
      ? input.map((item: unknown, index) => ({ id: String(ids[index]), item }))
      : [],
    output: Array.isArray(output) ? (output as unknown[]).filter((each) => isItem(each)) : [],
    reasoning: {
      showSummary: shape["showSummary"] === true,
      includeEncrypted: shape["includeEncrypted"] === true,
    },
  }
}

/**
 * The JSON object of a stored part.
 * @throws ApiError 404 where it is none: its file has the right checksum and is not this server's
 */
export async function decodeObject(bytes: Uint8Array): Promise<Item> {
  try {
    const value = await parseJsonInSlices(Buffer.from(bytes).toString(), UNLIMITED)
    if (isItem(value)) return value
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
  }
  throw new ApiError("NOT_FOUND", "the stored response cannot be read; delete it", {
    reason: "response_not_found",
  })
}

/** Output items as the client was shown them. */
export function shownOutput({ output, reasoning }: StoredItems): Item[] {
  return output.map((item) => shownItem(item, reasoning)).filter((item) => item !== undefined)
}

/** The items by which the conversation goes on. A call that was cut cannot be made. */
export function conversationOf({ input, output }: StoredItems): unknown[] {
  const isWhole = ({ type, status }: Item) =>
    status !== "incomplete" || type === "message" || type === "reasoning"
  return [...input.map(({ item }) => item), ...output.filter(isWhole)]
}

export function isItem(value: unknown): value is Item {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
