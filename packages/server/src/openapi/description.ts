// The OpenAPI 3.0 document of the finished application, from the schemas that validate its bodies.
import type { TSchema } from "@sinclair/typebox"
import type { Elysia } from "elysia"
import { ERROR_SCHEMAS } from "./operation.ts"
import { schemaObject } from "./schema-object.ts"

/** The registered routes. */
export type RouteList = Elysia["routes"]

export interface DescriptionFacts {
  /** Clients must send a key. */
  needsKey: boolean
  /** The name of the served model, once it is loaded. */
  modelId: string | undefined
}

interface RouteHooks {
  body?: TSchema
  detail?: { hide?: boolean; parameters?: { example?: string }[] }
}

type Json = Record<string, unknown>

const INFO = {
  title: "ds4 HTTP API",
  version: "0.1.0",
  description:
    "OpenAI chat completions, completions and Responses, Anthropic messages, and the server's " +
    "own endpoints.",
}

const KEY_SCHEMES = {
  bearer: { type: "http", scheme: "bearer", description: "a key of --api-key or --api-key-file" },
  header: { type: "apiKey", in: "header", name: "x-api-key", description: "the same key" },
}

/** Paths that need no key. */
const OPEN: ReadonlySet<string> = new Set(["/health"])

export function describeRoutes(routes: RouteList, facts: DescriptionFacts): Json {
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const hooks = route.hooks as RouteHooks | undefined
    if (hooks?.detail === undefined || hooks.detail.hide === true) continue
    const path = route.path.replace(/:(\w+)/g, "{$1}")
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = operationObject(route.method, path, hooks, facts)
  }
  const keys = [{ bearer: [] }, { header: [] }]
  return {
    openapi: "3.0.3",
    info: INFO,
    tags: ["OpenAI", "Anthropic", "models", "tokens", "server"].map((name) => ({ name })),
    security: facts.needsKey ? keys : [{}, ...keys],
    paths,
    components: {
      schemas: Object.fromEntries(
        Object.entries(ERROR_SCHEMAS).map(([name, schema]) => [name, schemaObject(schema)]),
      ),
      securitySchemes: KEY_SCHEMES,
    },
  }
}

function operationObject(
  method: string,
  path: string,
  { body, detail }: RouteHooks,
  { modelId }: DescriptionFacts,
): Json {
  const { hide: _hide, parameters, ...described } = detail ?? {}
  const words = `${method.toLowerCase()}${path}`
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "")
  const filled = parameters?.map((parameter) =>
    path === "/v1/models/{id}" && modelId !== undefined
      ? { ...parameter, example: modelId }
      : parameter,
  )
  return {
    operationId: words.join("_"),
    ...described,
    ...(filled === undefined ? {} : { parameters: filled }),
    ...(body === undefined ? {} : { requestBody: requestBody(body) }),
    ...(OPEN.has(path) ? { security: [] } : {}),
  }
}

function requestBody(body: TSchema): Json {
  const schema = schemaObject(body)
  return {
    required: true,
    content: { "application/json": { schema, example: schema.example } },
  }
}
