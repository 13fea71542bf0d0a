// Keeps the facts about an HTTP request that outlive its handler: id, start, status, who logs it.

export interface RequestContext {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly startedAtMs: number
  /** Set where the status is decided before Elysia sees a response. */
  status: number | undefined
  /** The server's own failure, for the log. */
  failure: unknown
  /** A generation writes its own log line when it ends, after the handler has returned. */
  logsItself: boolean
  /** Closes the connection at once; without a port it does nothing. */
  disconnect: () => void
}

export class RequestContexts {
  private readonly contexts = new WeakMap<Request, RequestContext>()

  of(request: Request): RequestContext {
    const known = this.contexts.get(request)
    if (known !== undefined) return known
    const context: RequestContext = {
      id: `req_${crypto.randomUUID().replaceAll("-", "")}`,
      method: request.method,
      path: pathOf(request.url),
      startedAtMs: performance.now(),
      status: undefined,
      failure: undefined,
      logsItself: false,
      disconnect: () => {},
    }
    this.contexts.set(request, context)
    return context
  }
}

/** The path of an absolute URL without its query. */
function pathOf(url: string): string {
  const begin = url.indexOf("/", url.indexOf("://") + 3)
  if (begin < 0) return "/"
  const query = url.indexOf("?", begin)
  return query < 0 ? url.slice(begin) : url.slice(begin, query)
}
