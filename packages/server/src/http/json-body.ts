// Reads a request body as JSON with a size limit and the byte offset of a syntax error.
import { JsonError, parseJson } from "@ds4/chat"
import { ApiError } from "./api-error.ts"

/** The body as a JSON value whatever its content type says; null if it is empty. */
export async function readJson(request: Request, maxBodyBytes: number): Promise<unknown> {
  const bytes = await readBody(request, maxBodyBytes)
  return bytes.length === 0 ? null : parseBody(bytes)
}

/** Reads the whole body, at most `maxBodyBytes`; a chunked body is counted while it arrives. */
export async function readBody(request: Request, maxBodyBytes: number): Promise<Uint8Array> {
  const declared = request.headers.get("content-length")
  if (declared !== null && Number(declared) > maxBodyBytes) throw tooLarge(maxBodyBytes)
  if (declared !== null) return new Uint8Array(await request.arrayBuffer())
  if (request.body === null) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.byteLength
    if (bytes > maxBodyBytes) throw tooLarge(maxBodyBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
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
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ApiError("INVALID_REQUEST", "invalid JSON request: the body is not UTF-8", { cause })
  }
  try {
    return parseJson(text)
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause
    const offset = Buffer.byteLength(text.slice(0, cause.offset))
    const fault = cause.message.replace(/ at offset \d+/, "").replace(/^invalid JSON: /, "")
    throw new ApiError("INVALID_REQUEST", `invalid JSON request at byte ${offset}: ${fault}`, {
      cause,
    })
  }
}
