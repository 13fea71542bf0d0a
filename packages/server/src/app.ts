// Composition only: guards, error map, routes, API page.
import { Elysia } from "elysia"
import { errorResponse, errorShapeOf } from "./http/api-error.ts"
import { apiPage } from "./http/api-page.ts"
import { toApiError } from "./http/error-map.ts"
import { checkHost, checkKey, checkOrigin, corsHeaders } from "./http/guards.ts"
import { readJson, tooLarge } from "./http/json-body.ts"
import { type RequestContext, RequestContexts } from "./http/request-context.ts"
import type { RequestLog } from "./http/request-log.ts"
import { RouteTable } from "./http/route-table.ts"
import { Answers } from "./serving/answers.ts"
import type { RequestRegistry } from "./serving/request-registry.ts"
import type { ServingState } from "./serving/serving-state.ts"
import type { Statistics } from "./serving/statistics.ts"
import { chatCompletions } from "./api/chat-completions/route.ts"
import { completions } from "./api/completions/route.ts"
import { health } from "./api/health/route.ts"
import { messages } from "./api/messages/route.ts"
import { models } from "./api/models/route.ts"
import { requests } from "./api/requests/route.ts"
import { responses } from "./api/responses/route.ts"
import { tokens } from "./api/tokens/route.ts"
import type { ServerSettings } from "./settings.ts"

export interface AppDependencies {
  state: ServingState
  settings: ServerSettings
  registry: RequestRegistry
  statistics: Statistics
  log: RequestLog
}

const OPEN_PATHS = new Set(["/health", "/healthz"])

/** Bun closes a silent connection after this many seconds; streams switch it off for themselves. */
const IDLE_TIMEOUT_SECONDS = 255

/** What others need of the application. */
export interface App {
  handle(request: Request): Promise<Response>
  listen(options: { hostname: string; port: number } | { unix: string }): unknown
  /** Closes the port; with true also open connections. */
  stop(closeActiveConnections?: boolean): Promise<unknown>
  readonly server: { readonly url: URL; readonly port?: number | undefined } | null
}

/** The whole HTTP application. Nothing listens yet: call `.listen` or `.handle`. */
export function createApp(dependencies: AppDependencies): App {
  const { state, settings, registry, statistics } = dependencies
  const contexts = new RequestContexts()
  const answers = new Answers(dependencies, contexts)
  const registered: Registered = { routes: () => [] }
  let table: RouteTable | undefined
  const routes = () => (table ??= new RouteTable(registered.routes()))
  const app = new Elysia({
    normalize: false,
    // Bun's own limit answers with an empty body; the limit that counts is checked below. Elysia
    // would share the port with another server that listens there; requests would then go to
    // either.
    serve: {
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      reusePort: false,
    },
  })
    .onRequest(({ request, set }) => {
      const context = contexts.of(request)
      Object.assign(set.headers, corsHeaders(request.headers, settings.access), {
        "x-request-id": context.id,
      })
      checkHost(request.headers.get("host"), settings.access)
      checkOrigin(request, settings.access)
      if (request.method === "OPTIONS") return new Response(null, { status: 204 })
      if (!OPEN_PATHS.has(context.path)) checkKey(request.headers, settings.access)
      if (Number(request.headers.get("content-length") ?? 0) > settings.maxBodyBytes)
        throw tooLarge(settings.maxBodyBytes)
      return undefined
    })
    .onParse(async ({ request }) => readJson(request, settings.maxBodyBytes))
    .onError(({ error, code, request }) => {
      const context = contexts.of(request)
      const shaped = toApiError(error, code, context, routes())
      if (shaped.code === "INTERNAL")
        process.stderr.write(`${context.id} ${shaped.stack ?? shaped.message}\n`)
      context.status = shaped.status
      return errorResponse(shaped, errorShapeOf(context.path), context.id)
    })
    .onAfterResponse(({ request, set, response }) =>
      record(dependencies, contexts.of(request), routes(), statusOf(set.status, response)),
    )
    .use(health(state))
    .use(models(state, settings))
    .use(chatCompletions(answers))
    .use(completions(answers))
    .use(messages(answers))
    .use(responses(answers))
    .use(tokens(answers))
    .use(requests(registry, statistics, state))
    .use(apiPage(() => registered.routes()))
  registered.routes = () => app.routes
  return app
}

/** The routes of the finished application, for those of its parts that describe it. */
interface Registered {
  routes(): Elysia["routes"]
}

function statusOf(status: unknown, response: unknown): number {
  if (response instanceof Response) return response.status
  return typeof status === "number" ? status : 200
}

/** Counts and logs a request that did not generate. */
function record(
  { statistics, log }: AppDependencies,
  context: RequestContext,
  routes: RouteTable,
  responseStatus: number,
): void {
  const { id, method, path, startedAtMs, status, logsItself } = context
  if (logsItself) return
  const finalStatus = status ?? responseStatus
  statistics.countRequest(routes.routeOf(path) ?? "unknown", finalStatus)
  log.write({
    id,
    method,
    path,
    status: finalStatus,
    durationMs: performance.now() - startedAtMs,
    generation: undefined,
  })
}
