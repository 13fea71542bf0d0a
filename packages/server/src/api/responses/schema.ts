import { type Static, Type } from "@sinclair/typebox"
import {
  anyValue,
  effortField,
  optional,
  promptEndingFields,
  samplingFields,
  stopField,
  tokenLimit,
} from "../../answer/request-fields.ts"

export const ResponsesRequest = Type.Object(
  {
    input: Type.Union([Type.String(), Type.Array(Type.Unknown(), { minItems: 1 })]),
    instructions: optional(Type.String()),
    model: optional(Type.String()),
    max_output_tokens: optional(tokenLimit),
    max_tokens: optional(tokenLimit),
    ...samplingFields,
    stop: optional(stopField),
    stream: optional(Type.Boolean()),
    ...promptEndingFields,
    reasoning: optional(
      Type.Object(
        {
          effort: optional(effortField),
          summary: optional(
            Type.Union([Type.Literal("auto"), Type.Literal("concise"), Type.Literal("detailed")]),
          ),
        },
        { additionalProperties: true },
      ),
    ),
    tools: optional(Type.Array(Type.Unknown())),
    tool_choice: anyValue,
    parallel_tool_calls: optional(Type.Boolean()),
    previous_response_id: optional(Type.String()),
    conversation: anyValue,
    text: optional(Type.Object({ format: anyValue }, { additionalProperties: true })),
    include: optional(Type.Array(Type.String())),
    background: optional(Type.Boolean()),
    truncation: optional(Type.Union([Type.Literal("auto"), Type.Literal("disabled")])),
    store: optional(Type.Boolean()),
    metadata: anyValue,
    prompt_cache_key: optional(Type.String()),
  },
  { additionalProperties: true, description: "OpenAI Responses; nothing is stored" },
)

export type ResponsesRequest = Static<typeof ResponsesRequest>
