import { Elysia } from "elysia"
import { Type } from "@sinclair/typebox"
import { operation } from "../../openapi/operation.ts"
import { ApiError } from "../../http/api-error.ts"
import type { ServedModel, ServingState } from "../../serving/serving-state.ts"
import type { ServerSettings } from "../../settings.ts"
import { CHAT_FIELDS } from "../chat-completions/schema.ts"

/** What a request may set, from the table that reads it. */
const SUPPORTED_PARAMETERS = Object.entries(CHAT_FIELDS)
  .filter(([name, { use }]) => use === "read" && name !== "messages" && name !== "model")
  .map(([name]) => name)

const Model = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal("model"),
    created: Type.Integer(),
    owned_by: Type.String(),
    name: Type.String(),
    context_length: Type.Integer(),
    max_model_len: Type.Integer(),
    top_provider: Type.Object({
      context_length: Type.Integer(),
      max_completion_tokens: Type.Integer(),
      is_moderated: Type.Boolean(),
    }),
    supported_parameters: Type.Array(Type.String()),
    description: Type.Optional(Type.String()),
  },
  { description: "OpenAI's model object" },
)
const ModelList = Type.Object({ object: Type.Literal("list"), data: Type.Array(Model) })

function openaiModel(model: ServedModel, settings: ServerSettings): Record<string, unknown> {
  const context = model.chat.engine.model.contextTokens
  return {
    id: model.id,
    object: "model",
    created: model.created,
    owned_by: "local",
    name: model.chat.engine.model.name,
    context_length: context,
    max_model_len: context,
    top_provider: {
      context_length: context,
      max_completion_tokens: Math.min(settings.answers.maxTokens, context),
      is_moderated: false,
    },
    supported_parameters: SUPPORTED_PARAMETERS,
    ...(model.chat.engine.model.isDemo ? { description: model.chat.engine.model.description } : {}),
  }
}

function anthropicModel(model: ServedModel): Record<string, unknown> {
  return {
    type: "model",
    id: model.id,
    display_name: model.chat.engine.model.name,
    created_at: new Date(model.created * 1000).toISOString(),
  }
}

/** A path's text with its escapes resolved, or as it is where they are none. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The served model, in the shape of the caller's API. */
export const models = (state: ServingState, settings: ServerSettings) => {
  const list = ({ request }: { request: Request }) => {
    const model = state.require()
    if (!request.headers.has("anthropic-version"))
      return { object: "list", data: [openaiModel(model, settings)] }
    return { data: [anthropicModel(model)], has_more: false, first_id: model.id, last_id: model.id }
  }
  const one = ({
    request,
    params,
  }: {
    request: Request
    params: { id?: string; "*"?: string }
  }) => {
    const model = state.require()
    const name = params.id ?? unescaped(params["*"] ?? "") // the router unescapes named parts only
    if (name !== model.id)
      throw new ApiError("NOT_FOUND", `no model "${name}"; this server has "${model.id}"`, {
        param: "model",
        reason: "model_not_found",
      })
    return request.headers.has("anthropic-version")
      ? anthropicModel(model)
      : openaiModel(model, settings)
  }
  return new Elysia({ name: "api/models" })
    .get("/v1/models", list, {
      detail: operation({
        summary: "List the served model",
        description: "In Anthropic's shape with an `anthropic-version` header.",
        tag: "models",
        answer: ModelList,
        failures: [503],
      }),
    })
    .get("/v1/models/:id", one, {
      detail: operation({
        summary: "One model",
        tag: "models",
        answer: Model,
        failures: [404, 503],
        id: { description: "the name of the served model", example: "demo" },
      }),
    })
    .get("/v1/models/*", one, { detail: { hide: true } })
    .get("/models", list, { detail: { hide: true } })
    .get("/models/:id", one, { detail: { hide: true } })
    .get("/models/*", one, { detail: { hide: true } })
}
