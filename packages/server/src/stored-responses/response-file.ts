// A stored response as the bytes of a file. Its first line names the format and the checksum of
// everything after it. The second one is a JSON object: names, owner and the lengths of the two
// parts that follow.
import { isResponseId, type StoredResponse } from "./stored-response.ts"

const MAGIC = "ds4-response 1"
const FIRST_LINE = /^ds4-response 1 ([0-9a-f]{64})\n/
/** Bytes of the first line. */
const FIRST_BYTES = MAGIC.length + 1 + 64 + 1
const LINE_END = 10

interface Head {
  id: string
  previous?: string
  owner: string
  item_ids: string[]
  item_bytes: number
  /** Absent where only the items are kept. */
  response_bytes?: number
}

/** The file's bytes are not those of a stored response. */
export class ResponseFileError extends Error {
  override readonly name = "ResponseFileError"
}

export function encodeResponseFile(stored: StoredResponse): Uint8Array {
  const { id, previous, owner, itemIds, items, response } = stored
  const head: Head = {
    id,
    ...(previous === undefined ? {} : { previous }),
    owner,
    item_ids: [...itemIds],
    item_bytes: items.length,
    ...(response === undefined ? {} : { response_bytes: response.length }),
  }
  const line = Buffer.from(`${JSON.stringify(head)}\n`)
  const body = Buffer.concat([line, items, ...(response === undefined ? [] : [response])])
  return Buffer.concat([Buffer.from(`${MAGIC} ${checksum(body)}\n`), body])
}

/** @throws ResponseFileError that says what is wrong */
export function decodeResponseFile(bytes: Uint8Array): StoredResponse {
  const first = FIRST_LINE.exec(Buffer.from(bytes.subarray(0, FIRST_BYTES)).toString("latin1"))
  if (first === null) throw new ResponseFileError(`it does not begin with "${MAGIC}"`)
  const body = bytes.subarray(FIRST_BYTES)
  if (checksum(body) !== first[1]) throw new ResponseFileError("its checksum is wrong")
  const end = body.indexOf(LINE_END)
  const head = headOf(Buffer.from(body.subarray(0, Math.max(0, end))).toString())
  const { id, previous, owner, item_ids: itemIds } = head
  const items = body.subarray(end + 1, end + 1 + head.item_bytes)
  const response = body.subarray(end + 1 + head.item_bytes)
  if (items.length !== head.item_bytes || response.length !== (head.response_bytes ?? 0))
    throw new ResponseFileError("its parts are not as long as it says")
  return {
    id,
    previous,
    owner,
    itemIds,
    items,
    response: head.response_bytes === undefined ? undefined : response,
  }
}

function headOf(line: string): Head {
  let head: unknown
  try {
    head = JSON.parse(line)
  } catch {
    throw new ResponseFileError("its second line is no JSON")
  }
  if (!isHead(head)) throw new ResponseFileError("its second line has not the members it needs")
  return head
}

function isHead(value: unknown): value is Head {
  if (typeof value !== "object" || value === null) return false
  const head = value as Partial<Record<keyof Head, unknown>>
  const isId = (each: unknown) => typeof each === "string" && isResponseId(each)
  const isLength = (each: unknown) => Number.isSafeInteger(each) && Number(each) >= 0
  return (
    isId(head.id) &&
    (head.previous === undefined || isId(head.previous)) &&
    typeof head.owner === "string" &&
    Array.isArray(head.item_ids) &&
    head.item_ids.every((each) => typeof each === "string") &&
    isLength(head.item_bytes) &&
    (head.response_bytes === undefined || isLength(head.response_bytes))
  )
}

function checksum(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex")
}
