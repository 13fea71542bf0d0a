// Composition only: guards, error map, routes, API page.
import { Elysia } from "elysia"
import { chatCompletions } from "./api/chat-completions/route.ts"
import { completions } from "./api/completions/route.ts"
import { health } from "./api/health/route.ts"
import { kv } from "./api/kv/route.ts"
import { messages } from "./api/messages/route.ts"
import { models } from "./api/models/route.ts"
import { requests } from "./api/requests/route.ts"
import { responses } from "./api/responses/route.ts"
import { statistics } from "./api/statistics/route.ts"
import { tokens } from "./api/tokens/route.ts"
import { errorResponse, errorShapeOf } from "./http/api-error.ts"
import { apiPage, isApiPage } from "./http/api-page.ts"
import { toApiError } from "./http/error-map.ts"
import { checkHost, checkKey, checkOrigin, corsHeaders } from "./http/guards.ts"
import { JsonBodies, tooLarge } from "./http/json-body.ts"
import { type ListenAddress, Listener } from "./http/listener.ts"
import { type RequestContext, RequestContexts } from "./http/request-context.ts"
import type { RequestLog } from "./http/request-log.ts"
import { RouteTable } from "./http/route-table.ts"
import { Answers } from "./serving/answers.ts"
import type { RequestRegistry } from "./serving/request-registry.ts"
import type { ServingState } from "./serving/serving-state.ts"
import type { Statistics } from "./serving/statistics.ts"
import type { ServerSettings } from "./settings.ts"
import { ResponseFolder } from "./stored-responses/response-folder.ts"
import { ResponseStore } from "./stored-responses/response-store.ts"

export interface AppDependencies {
  state: ServingState
  settings: ServerSettings
  registry: RequestRegistry
  statistics: Statistics
  log: RequestLog
}

const OPEN_PATHS = new Set(["/health", "/healthz"])

/** The application as its callers see it. */
export interface App {
  handle(request: Request): Promise<Response>
  /** Resolves when the port is open; `server` is known at once. */
  listen(address: ListenAddress): Promise<void>
  /** Closes the port; with true also open connections. */
  stop(closeActiveConnections?: boolean): Promise<unknown>
  readonly server: { readonly url: URL; readonly port: number } | null
}

/** The whole HTTP application. Nothing listens yet: call `.listen` or `.handle`. */
export function createApp(dependencies: AppDependencies): App {
  const { settings } = dependencies
  const contexts = new RequestContexts()
  const store = storeOf(dependencies)
  const bodies = new JsonBodies(settings.maxBodyBytes)
  const registered: Registered = { routes: () => [] }
  let table: RouteTable | undefined
  const routes = () => (table ??= new RouteTable(registered.routes()))
  const app = new Elysia({ normalize: false })
    .onRequest(({ request, set }) => {
      const context = contexts.of(request)
      Object.assign(set.headers, corsHeaders(request.headers, settings.access), {
        "x-request-id": context.id,
        "request-id": context.id, // the name that Anthropic's clients read
      })
      return admit(request, context, settings)
    })
    .onParse(async ({ request }) => bodies.read(request))
    .onError(({ error, code, request }) => {
      const context = contexts.of(request)
      const shaped = toApiError(error, code, context, routes())
      if (shaped.code === "INTERNAL") context.failure = error
      context.status = shaped.status
      return errorResponse(shaped, errorShapeOf(context.path, request.headers), context.id)
    })
    .onAfterResponse(({ request, set, response }) =>
      record(dependencies, contexts.of(request), routes(), statusOf(set.status, response)),
    )
    .use(endpoints(dependencies, contexts, store))
    .use(
      apiPage(
        () => registered.routes(),
        () => ({
          needsKey: settings.access.apiKeys.length > 0,
          modelId: dependencies.state.model?.id,
        }),
      ),
    )
  registered.routes = () => app.routes
  const listener = new Listener(async (request, disconnect) => {
    contexts.of(request).disconnect = disconnect
    return app.handle(request)
  })
  return {
    handle: async (request) => app.handle(request),
    listen: async (address) => listener.listen(address),
    stop: async (closeActiveConnections) => {
      const stopped = await listener.stop(closeActiveConnections)
      await store.idle()
      return stopped
    },
    get server() {
      return listener.address
    },
  }
}

/** The routes of the finished application, for those of its parts that describe it. */
interface Registered {
  routes(): Elysia["routes"]
}

/** Answers an OPTIONS request; throws for a request that may not be made. */
function admit(
  request: Request,
  context: RequestContext,
  { access, maxBodyBytes }: ServerSettings,
): Response | undefined {
  checkHost(request.headers.get("host"), access)
  checkOrigin(request, access)
  if (request.method === "OPTIONS") return new Response(null, { status: 204 })
  if (!OPEN_PATHS.has(context.path) && !isApiPage(context.path)) checkKey(request.headers, access)
  if (Number(request.headers.get("content-length") ?? 0) > maxBodyBytes)
    throw tooLarge(maxBodyBytes)
  return undefined
}

/** Where responses are kept. */
function storeOf({ settings, log }: AppDependencies): ResponseStore {
  const { storedResponses, storedResponsesFolder: path } = settings
  const note = (line: string) => log.note(line)
  return new ResponseStore(
    storedResponses,
    path === undefined ? undefined : new ResponseFolder(path, note),
  )
}

/** Every endpoint but the API page. */
function endpoints(dependencies: AppDependencies, contexts: RequestContexts, store: ResponseStore) {
  const { state, settings, registry } = dependencies
  const answers = new Answers(dependencies, contexts)
  return new Elysia({ name: "api" })
    .use(health(state))
    .use(models(state, settings))
    .use(chatCompletions(answers))
    .use(completions(answers))
    .use(messages(answers))
    .use(responses(answers, store, settings.access))
    .use(tokens(answers))
    .use(requests(registry))
    .use(kv(answers, settings.access))
    .use(statistics(registry, dependencies.statistics, state))
}

function statusOf(status: unknown, response: unknown): number {
  if (response instanceof Response) return response.status
  return typeof status === "number" ? status : 200
}

/** Counts and logs a request that did not generate. */
function record(
  { statistics: counters, log }: AppDependencies,
  context: RequestContext,
  routes: RouteTable,
  responseStatus: number,
): void {
  const { id, method, path, startedAtMs, status, logsItself } = context
  if (logsItself) return
  const finalStatus = status ?? responseStatus
  counters.countRequest(routes.routeOf(path) ?? "unknown", finalStatus)
  log.write({
    id,
    method,
    path,
    status: finalStatus,
    durationMs: performance.now() - startedAtMs,
    generation: undefined,
    failure: context.failure,
  })
}
