import { type Static, Type } from "@sinclair/typebox"
import { bodySchema, optional, read, required } from "../../fields/field.ts"
import {
  limitField,
  MAX_ITEMS,
  modelField,
  parallelCallsField,
  PROMPT_ENDING_FIELDS,
  reasoningEffort,
  SAMPLING_FIELDS,
  SESSION_FIELDS,
  stopStrings,
  streamField,
  streamOptionsField,
  THINKING_FIELDS,
  toolChoiceField,
  toolsField,
} from "../../fields/shared-fields.ts"
import { withUnsupported } from "../../fields/unsupported-fields.ts"

/** Checked in full, message by message, where it becomes a conversation. */
const messageShape = Type.Object(
  {
    role: optional(
      Type.String({ description: "system, developer, user, assistant or tool; user if missing" }),
    ),
    content: Type.Optional(Type.Unknown()),
    prefix: optional(
      Type.Boolean({
        description: "true on the last message, an assistant's: the answer goes on in it",
      }),
    ),
  },
  { additionalProperties: true },
)

export const CHAT_FIELDS = withUnsupported({
  messages: required(
    Type.Array(messageShape, { minItems: 1, maxItems: MAX_ITEMS }),
    "the conversation; text parts only",
  ),
  model: modelField,
  max_tokens: limitField,
  max_completion_tokens: limitField,
  ...SAMPLING_FIELDS,
  stop: read(
    Type.Union([Type.String({ maxLength: 256 }), stopStrings]),
    "texts that end the answer and are no part of it",
  ),
  stream: streamField,
  stream_options: streamOptionsField,
  ...PROMPT_ENDING_FIELDS,
  tools: toolsField,
  tool_choice: toolChoiceField,
  parallel_tool_calls: parallelCallsField,
  ...THINKING_FIELDS,
  reasoning: read(
    Type.Object(
      { effort: reasoningEffort, enabled: optional(Type.Boolean()) },
      { additionalProperties: true },
    ),
    "effort as in reasoning_effort; enabled: true or false",
  ),
  logprobs: read(Type.Boolean(), "true: the log-probability of each token of the answer"),
  top_logprobs: read(
    Type.Integer({ minimum: 0, maximum: 20 }),
    "so many likeliest tokens at each place; needs logprobs",
  ),
  ...SESSION_FIELDS,
})

export const ChatRequest = bodySchema(
  CHAT_FIELDS,
  "OpenAI chat completion; unknown fields are ignored",
  {
    messages: [{ role: "user", content: "What is 12 + 30?" }],
    temperature: 0,
    max_tokens: 100,
  },
)

export type ChatRequest = Static<typeof ChatRequest>
