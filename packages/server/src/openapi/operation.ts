// How an endpoint is described: what it answers, and how it fails.
import { type TSchema, Type } from "@sinclair/typebox"
import type { DocumentDecoration } from "elysia"
import { schemaObject } from "./schema-object.ts"

/** Statuses that an endpoint may answer besides 200, and when. */
const REASONS = {
  400: "a field is missing, mistyped or asks for something unsupported; the error names it",
  401: "the key is missing or wrong",
  403: "the Host header or the web page's origin is not allowed",
  404: "there is none of this name",
  409: "another process holds the folder, or the state is of no use to this model",
  413: "the body is larger than --max-body",
  415: "the content-encoding of the body is not known",
  429: "too many requests wait already; try again later",
  499: "the request was cancelled by DELETE /v1/requests/{id}",
  500: "the server failed; its log says why",
  503: "the model is loading, or the server shuts down",
} as const

type FailureStatus = keyof typeof REASONS

/** Any request may be refused before it is read. */
const GENERAL: readonly FailureStatus[] = [401, 403, 500]
/** Endpoints that read a body and need the model. */
const OF_BODIES: readonly FailureStatus[] = [400, 413, 415, 429, 503]

interface OperationParts {
  summary: string
  description?: string
  tag: "OpenAI" | "Anthropic" | "models" | "tokens" | "server"
  /** The JSON of a 200; a string describes plain text instead. */
  answer: TSchema | string
  /** With `stream: true` the answer is a stream of these. */
  stream?: string
  readsBody?: boolean
  failures?: readonly FailureStatus[]
  /** A status whose body is the same as that of a 200, and when it is answered. */
  sameAt?: { status: 503; when: string }
  errors?: "Error" | "AnthropicError"
  /** Parameters behind the path's question mark; all of them may be left out. */
  query?: readonly { name: string; description: string; schema: TSchema }[]
  /** The meaning of the path's `id`, and one that can be tried. */
  id?: { description: string; example: string }
}

interface ResponseObject {
  description: string
  content: Record<string, unknown>
}
type Responses = Record<string, ResponseObject>

/** The description of a route, for its `detail`. */
export function operation(parts: OperationParts): DocumentDecoration {
  const { summary, description, tag, id, query = [] } = parts
  const parameter = {
    name: "id",
    in: "path",
    required: true,
    schema: { type: "string" },
    ...id,
  }
  const parameters = [
    ...(id === undefined ? [] : [parameter]),
    ...query.map(({ schema, ...each }) => ({ ...each, in: "query", schema: schemaObject(schema) })),
  ]
  return {
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [tag],
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: { "200": success(parts), ...failures(parts), ...sameAnswer(parts) },
  } as DocumentDecoration
}

function success({ answer, stream }: OperationParts): ResponseObject {
  const content: Record<string, unknown> =
    typeof answer === "string"
      ? { "text/plain": { schema: { type: "string", description: answer } } }
      : { "application/json": { schema: schemaObject(answer) } }
  if (stream !== undefined)
    content["text/event-stream"] = { schema: { type: "string", description: stream } }
  return { description: "the answer", content }
}

function sameAnswer(parts: OperationParts): Partial<Responses> {
  const { sameAt } = parts
  return sameAt === undefined
    ? {}
    : { [sameAt.status]: { ...success(parts), description: sameAt.when } }
}

function failures({ readsBody, failures: own = [], errors = "Error" }: OperationParts): Responses {
  const statuses = [...GENERAL, ...(readsBody === true ? OF_BODIES : []), ...own]
  const content = { "application/json": { schema: { $ref: `#/components/schemas/${errors}` } } }
  return Object.fromEntries(
    statuses.map((status) => [String(status), { description: REASONS[status], content }]),
  )
}

/** The bodies of errors, by the name under which operations refer to them. */
export const ERROR_SCHEMAS = {
  Error: Type.Object({
    error: Type.Object({
      message: Type.String(),
      type: Type.String(),
      param: Type.Union([Type.String(), Type.Null()]),
      code: Type.Union([Type.String(), Type.Null()]),
      n_prompt_tokens: Type.Optional(Type.Integer()),
      n_ctx: Type.Optional(Type.Integer()),
    }),
  }),
  AnthropicError: Type.Object({
    type: Type.Literal("error"),
    error: Type.Object({ type: Type.String(), message: Type.String() }),
    request_id: Type.String(),
  }),
}
