// Reads a request body as JSON: bounded in size, memory and time, with the byte offset of a fault.
import { JsonError, JsonLimitError, type JsonLimits, parseJson, parseJsonInSlices } from "@ds4/chat"
import { ApiError } from "./api-error.ts"
import { BodyBudget, type BodyShare } from "./body-budget.ts"
import { decodedChunks } from "./content-encoding.ts"

/** Larger bodies are decoded and parsed in slices, one body after another. */
const SMALL_BYTES = 262_144
/** Bytes that are decoded to text before the event loop turns. */
const DECODE_BYTES = 2_097_152

/**
 * The longest context has 2^20 tokens, which a prompt may list one by one. No conversation that
 * fits has nearly so many objects.
 */
const LIMITS: JsonLimits = { values: 2_200_000, containers: 250_000, members: 500_000 }

/** The bodies of one server. */
export class JsonBodies {
  private readonly budget: BodyBudget
  /** Large bodies are parsed one at a time: their values take many times the room of their text. */
  private parsing: Promise<unknown> = Promise.resolve()

  constructor(private readonly maxBodyBytes: number) {
    this.budget = new BodyBudget(maxBodyBytes)
  }

  /** The body as a JSON value whatever its content type says; null if it is empty. */
  async read(request: Request): Promise<unknown> {
    using share = this.budget.open()
    const bytes = await readBody(request, this.maxBodyBytes, share)
    if (bytes.length === 0) return null
    if (bytes.length <= SMALL_BYTES) return parseBody(bytes)
    const parsed = this.parsing.then(() => parseBodyInSlices(bytes))
    this.parsing = parsed.catch(() => {})
    return parsed
  }
}

/**
 * Reads the whole body, at most `maxBodyBytes` as sent and as decoded; a chunked body is counted
 * while it arrives.
 */
export async function readBody(
  request: Request,
  maxBodyBytes: number,
  share?: BodyShare,
): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBodyBytes)
    throw tooLarge(maxBodyBytes)
  if (request.body === null) return new Uint8Array(0)
  const received = counted(request.body, maxBodyBytes)
  const chunks: Uint8Array[] = []
  let bytes = 0
  const plain = decodedChunks(received, request.headers.get("content-encoding"))
  for await (const chunk of counted(plain, maxBodyBytes)) {
    share?.add(chunk.byteLength)
    bytes += chunk.byteLength
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  maxBodyBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.byteLength
    if (bytes > maxBodyBytes) throw tooLarge(maxBodyBytes)
    yield chunk
  }
}

export function tooLarge(maxBodyBytes: number): ApiError {
  return new ApiError(
    "TOO_LARGE",
    `the request body is larger than ${maxBodyBytes} bytes; shorten it or raise --max-body`,
  )
}

/**
 * Parses UTF-8 JSON bytes; objects remember the text they were read from, which prompts need.
 * Errors are 400 and carry the byte offset.
 */
export function parseBody(bytes: Uint8Array): unknown {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  const text = decoded(() => decoder.decode(bytes))
  try {
    return parseJson(text)
  } catch (cause) {
    throw faultOf(cause, text)
  }
}

/** The same, with pauses in which the event loop turns. */
async function parseBodyInSlices(bytes: Uint8Array): Promise<unknown> {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  const pieces: string[] = []
  for (let begin = 0; begin < bytes.length; begin += DECODE_BYTES) {
    const end = begin + DECODE_BYTES
    const stream = end < bytes.length
    pieces.push(decoded(() => decoder.decode(bytes.subarray(begin, end), { stream })))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const text = pieces.join("")
  try {
    return await parseJsonInSlices(text, LIMITS)
  } catch (cause) {
    throw faultOf(cause, text)
  }
}

function decoded(decode: () => string): string {
  try {
    return decode()
  } catch (cause) {
    throw new ApiError("INVALID_REQUEST", "invalid JSON request: the body is not UTF-8", { cause })
  }
}

function faultOf(cause: unknown, text: string): unknown {
  if (cause instanceof JsonLimitError) {
    const { member, message } = cause
    const much = message.replace(/ at offset \d+/, "")
    const details = member === undefined ? { cause } : { cause, param: member }
    return new ApiError(
      "INVALID_REQUEST",
      `${member ?? "the body"} makes the body hold ${much}; send less in one request`,
      details,
    )
  }
  if (!(cause instanceof JsonError)) return cause
  const offset = Buffer.byteLength(text.slice(0, cause.offset))
  const fault = cause.message.replace(/ at offset \d+/, "").replace(/^invalid JSON: /, "")
  return new ApiError("INVALID_REQUEST", `invalid JSON request at byte ${offset}: ${fault}`, {
    cause,
  })
}
