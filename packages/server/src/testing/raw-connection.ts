// A TCP connection that sends bytes as they are, for requests that no client library would make.
import { connect } from "node:net"

/** Sends pieces one after another. Gives what comes back until `until` holds or 3 s have passed. */
export async function exchange(
  url: string,
  pieces: readonly string[],
  until: (received: string) => boolean = () => false,
): Promise<{ received: string; isClosed: boolean }> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  const state = { received: "", isClosed: false }
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on("data", (bytes: Buffer) => {
    state.received += bytes.toString("utf8")
    if (until(state.received)) resolve()
  })
  socket.on("close", () => {
    state.isClosed = true
    resolve()
  })
  socket.on("error", () => {})
  for (const piece of pieces) {
    socket.write(piece)
    await Bun.sleep(20)
  }
  await Promise.race([promise, Bun.sleep(3000)])
  socket.destroy()
  return state
}

/** The text of a POST with a JSON body. */
export function rawPost(path: string, body: unknown, headers = ""): string {
  const text = JSON.stringify(body)
  const length = Buffer.byteLength(text)
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}`
  return `${head}Content-Length: ${length}\r\n\r\n${text}`
}
