import { type Static, Type } from "@sinclair/typebox"
import {
  anyValue,
  effortField,
  optional,
  promptEndingFields,
  samplingFields,
  stopField,
  streamOptions,
  thinkingField,
  tokenLimit,
  unsupportedFields,
} from "../../answer/request-fields.ts"

/** Checked in full, message by message, where it becomes a conversation. */
const messageShape = Type.Object(
  {
    role: optional(
      Type.String({ description: "system, developer, user, assistant or tool; user if missing" }),
    ),
    content: anyValue,
    prefix: optional(
      Type.Boolean({
        description: "true on the last message, an assistant's: the answer goes on in it",
      }),
    ),
  },
  { additionalProperties: true },
)

export const ChatRequest = Type.Object(
  {
    messages: Type.Array(messageShape, { minItems: 1 }),
    model: optional(Type.String()),
    max_tokens: optional(tokenLimit),
    max_completion_tokens: optional(tokenLimit),
    ...samplingFields,
    stop: optional(stopField),
    stream: optional(Type.Boolean()),
    stream_options: streamOptions,
    ...promptEndingFields,
    tools: optional(Type.Array(Type.Unknown())),
    tool_choice: anyValue,
    parallel_tool_calls: optional(Type.Boolean()),
    thinking: optional(thinkingField),
    think: optional(Type.Boolean()),
    reasoning_effort: optional(effortField),
    reasoning: optional(
      Type.Object({ effort: optional(effortField) }, { additionalProperties: true }),
    ),
    chat_template_kwargs: optional(
      Type.Object(
        {
          enable_thinking: optional(Type.Boolean()),
          thinking: optional(Type.Boolean()),
          reasoning_effort: optional(effortField),
        },
        { additionalProperties: true },
      ),
    ),
    response_format: anyValue,
    logprobs: optional(Type.Boolean()),
    top_logprobs: optional(Type.Integer({ minimum: 0, maximum: 20 })),
    prompt_cache_key: optional(Type.String()),
    user: optional(Type.String()),
    safety_identifier: optional(Type.String()),
    ...unsupportedFields,
  },
  { additionalProperties: true, description: "OpenAI chat completion; unknown fields are ignored" },
)

export type ChatRequest = Static<typeof ChatRequest>
