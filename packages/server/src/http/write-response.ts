import { once } from "node:events"
import type { ServerResponse } from "node:http"

/** Writes a web response; a stream is read no faster than the client takes it. */
export async function writeResponse(
  answer: Response,
  response: ServerResponse,
  method: string | undefined,
): Promise<void> {
  const headers: Record<string, string> = {}
  answer.headers.forEach((value, name) => (headers[name] = value))
  if (answer.body === null || method === "HEAD") {
    await answer.body?.cancel()
    response.writeHead(answer.status, headers).end()
    return
  }
  if (isStream(answer)) {
    response.writeHead(answer.status, headers)
    response.flushHeaders()
    await writeStream(answer.body, response)
    return
  }
  const bytes = new Uint8Array(await answer.arrayBuffer())
  response.writeHead(answer.status, { ...headers, "content-length": `${bytes.byteLength}` })
  response.end(bytes)
}

function isStream(answer: Response): boolean {
  return answer.headers.get("content-type")?.startsWith("text/event-stream") === true
}

/** Ends with the stream, or when the client has left; the stream is told then. */
async function writeStream(
  body: ReadableStream<Uint8Array>,
  response: ServerResponse,
): Promise<void> {
  const reader = body.getReader()
  const left = once(response, "close")
  const isGone = (): boolean => response.destroyed || response.writableEnded
  try {
    for (;;) {
      const next = await reader.read()
      if (next.done) break
      if (isGone()) return
      if (!response.write(next.value)) await Promise.race([once(response, "drain"), left])
      if (isGone()) return
    }
    response.end()
  } finally {
    // Not awaited: a generator that waits for the engine is told by its request's signal.
    void reader.cancel().catch(() => {})
  }
}
