// Serves a handler of web requests over HTTP/1.1. The runtime's own server closes a connection
// whose client sends its next request too early; node:http answers such requests in order.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { ClientFaults, MAX_HEADER_BYTES } from "./client-faults.ts"
import { removeStaleSocket } from "./stale-socket.ts"
import { webRequest } from "./web-request.ts"
import { writeResponse } from "./write-response.ts"

/** Where to listen: an address and a port, 0 for a free one, or the path of a Unix socket. */
export type ListenAddress = { hostname: string; port: number } | { unix: string }

/** A kept connection without a request is closed after this many milliseconds. */
const IDLE_MS = 255_000

/** How long a closing server lets the last bytes of its answers leave. */
const LAST_BYTES_MS = 1000

export class Listener {
  private readonly server: Server
  private readonly faults = new ClientFaults()
  private readonly open = new Set<Promise<void>>()

  /**
   * @param handle answers a request; `disconnect` closes its connection at once
   */
  constructor(
    private readonly handle: (request: Request, disconnect: () => void) => Promise<Response>,
  ) {
    this.server = createServer(
      { maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: false, keepAliveTimeout: IDLE_MS },
      (incoming, response) => {
        const done = this.answer(incoming, response).finally(() => this.open.delete(done))
        this.open.add(done)
      },
    )
    this.server.on("clientError", (error, socket) => this.faults.answer(error, socket))
  }

  /** Resolves when connections are taken. Rejects where the address cannot be had. */
  async listen(address: ListenAddress): Promise<void> {
    if ("unix" in address) await removeStaleSocket(address.unix)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.server.once("listening", resolve)
    this.server.once("error", reject)
    if ("unix" in address) this.server.listen({ path: address.unix })
    else this.server.listen({ host: address.hostname.replace(/^\[|\]$/g, ""), port: address.port })
    try {
      await promise
    } finally {
      this.server.off("error", reject)
    }
  }

  /** The address of an open port; null where none is open or a Unix socket is. */
  get address(): { readonly url: URL; readonly port: number } | null {
    const address: AddressInfo | string | null = this.server.address()
    if (address === null || typeof address === "string") return null
    const host = address.address.includes(":") ? `[${address.address}]` : address.address
    return { url: new URL(`http://${host}:${address.port}`), port: address.port }
  }

  /**
   * Takes no more connections; with true open ones are closed as well, once answers that are
   * complete have left.
   */
  async stop(closeConnections = false): Promise<void> {
    if (!this.server.listening) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.server.close(() => resolve())
    if (closeConnections) {
      this.server.closeIdleConnections()
      await Promise.race([Promise.all(this.open), Bun.sleep(LAST_BYTES_MS)])
      this.server.closeAllConnections()
    }
    await promise
  }

  private async answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    this.faults.track(incoming.socket, response)
    const leaving = new AbortController()
    const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>()
    response.on("close", () => {
      if (!response.writableFinished) leaving.abort()
      onClosed()
    })
    response.on("error", () => leaving.abort())
    const disconnect = (): void => void incoming.socket.destroy()
    try {
      const request = webRequest(incoming, leaving.signal)
      await writeResponse(await this.handle(request, disconnect), response, incoming.method)
      await closed
    } catch (error) {
      process.stderr.write(`${String(error instanceof Error ? error.stack : error)}\n`)
      disconnect()
    }
  }
}
