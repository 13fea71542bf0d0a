// Answers what is no HTTP request, or one whose headers are too large, before any route sees it.
import type { ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { ApiError, errorResponse, errorShapeOf } from "./api-error.ts"

/** Request line and headers of one request, in bytes. */
export const MAX_HEADER_BYTES = 65_536

interface ParseFault extends Error {
  code?: string
  /** The bytes that could not be read, as far as node:http kept them. */
  rawPacket?: Uint8Array
}

export class ClientFaults {
  /** The last answer of a connection. */
  private readonly answers = new WeakMap<Duplex, ServerResponse>()

  track(socket: Duplex, response: ServerResponse): void {
    this.answers.set(socket, response)
  }

  /** Writes the error behind an answer that is still being written, and closes the connection. */
  answer(fault: ParseFault, socket: Duplex): void {
    if (fault.code === "ECONNRESET" || !socket.writable) {
      socket.destroy()
      return
    }
    const write = (): void => void responseText(fault).then((text) => socket.end(text))
    const before = this.answers.get(socket)
    if (before === undefined || before.writableFinished) write()
    else before.once("finish", write)
  }
}

async function responseText(fault: ParseFault): Promise<string> {
  const isTooLarge = fault.code === "HPE_HEADER_OVERFLOW"
  const error = isTooLarge
    ? new ApiError(
        "HEADERS_TOO_LARGE",
        `request line and headers are larger than ${MAX_HEADER_BYTES} bytes; send less in headers`,
        { reason: "headers_too_large" },
      )
    : new ApiError(
        "INVALID_REQUEST",
        `this is no HTTP/1.1 request (${fault.message.replace(/^Parse Error: /, "")}); ` +
          "the port speaks plain HTTP, not TLS",
      )
  const id = `req_${crypto.randomUUID().replaceAll("-", "")}`
  const response = errorResponse(error, errorShapeOf(pathOf(fault.rawPacket)), id)
  const body = await response.text()
  const reason = isTooLarge ? "Request Header Fields Too Large" : "Bad Request"
  const lines = [
    `HTTP/1.1 ${response.status} ${reason}`,
    "content-type: application/json",
    `x-request-id: ${id}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ]
  return `${lines.join("\r\n")}\r\n\r\n${body}`
}

/** The path of the request line, if that could be read. */
function pathOf(packet: Uint8Array | undefined): string {
  const begin = Buffer.from(packet ?? []).toString("latin1", 0, 200)
  return /^[A-Z]+ ([^ ?\r\n]+)/.exec(begin)?.[1] ?? "/"
}
