// Undoes the compression of a request body, piece by piece: what it grows to is counted on the way.
import { pipeline, Readable, type Transform } from "node:stream"
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from "node:zlib"
import { ApiError } from "./api-error.ts"

const DECODERS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
  ["zstd", createZstdDecompress],
])
const NAMES = "gzip, deflate, br, zstd"

/** More codings than this on one body are an attack. */
const MAX_CODINGS = 3

/** The codings of a body in the order in which they were applied; "identity" is none. */
function codingsOf(header: string | null): string[] {
  const names = (header ?? "").split(",").map((name) => name.trim().toLowerCase())
  return names.filter((name) => name !== "" && name !== "identity")
}

/**
 * The plain bytes of a body with this `content-encoding`.
 * @throws ApiError 415 for a coding that is not known, 400 for bytes that are not of that coding
 */
export async function* decodedChunks(
  chunks: AsyncIterable<Uint8Array>,
  contentEncoding: string | null,
): AsyncGenerator<Uint8Array, void, undefined> {
  const codings = codingsOf(contentEncoding)
  if (codings.length === 0) {
    yield* chunks
    return
  }
  const decoders = decodersOf(codings)
  const source = Readable.from(chunks)
  let fault: unknown
  source.on("error", (error) => (fault = error))
  pipeline([source, ...decoders], () => {})
  try {
    for await (const chunk of decoders.at(-1) ?? source) yield chunk as Uint8Array
  } catch (cause) {
    if (fault !== undefined) throw fault // the client's own fault, such as a body that is too long
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ApiError(
      "INVALID_REQUEST",
      `the body is not of the content-encoding ${codings.join(", ")}: ${why}`,
      { cause },
    )
  }
}

/** The last coding that was applied is undone first. */
function decodersOf(codings: readonly string[]): Transform[] {
  const makers = codings.toReversed().map((name) => ({ name, make: DECODERS.get(name) }))
  const unknown = makers.find(({ make }) => make === undefined)
  if (unknown !== undefined || codings.length > MAX_CODINGS)
    throw new ApiError(
      "UNSUPPORTED_ENCODING",
      `content-encoding ${JSON.stringify(unknown?.name ?? codings.join(", "))} is not supported; ` +
        `send the body as it is, or as ${NAMES}`,
      { reason: "unsupported_content_encoding", headers: { "accept-encoding": NAMES } },
    )
  return makers.flatMap(({ make }) => (make === undefined ? [] : [make()]))
}
