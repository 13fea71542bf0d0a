import type { IncomingMessage } from "node:http"

/** The web request of a message that node:http received; its body is read as it is asked for. */
export function webRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const { method = "GET", rawHeaders } = incoming
  const headers = new Headers()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    headers.append(rawHeaders[index] ?? "", rawHeaders[index + 1] ?? "")
  const hasBody =
    method !== "GET" &&
    method !== "HEAD" &&
    (headers.has("content-length") || headers.has("transfer-encoding"))
  return new Request(urlOf(incoming.url ?? "/"), {
    method,
    headers,
    signal,
    ...(hasBody ? { body: bodyOf(incoming) } : {}),
  })
}

/**
 * An absolute URL for the request target, which may be a path or a URL of its own. The client's
 * Host is judged by the guards and has no part in it.
 */
function urlOf(target: string): string {
  const path = /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1] ?? target
  return `http://localhost${path.startsWith("/") ? path : `/${path}`}`
}

/** Pulls chunks, so that a body is not taken from the network faster than it is read. */
function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  const chunks = incoming[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next()
        if (next.done === true) controller.close()
        else controller.enqueue(next.value)
      },
      // The rest is discarded: a client that is still sending would else never read the answer.
      cancel: () => void incoming.resume(),
    },
    { highWaterMark: 0 },
  )
}
