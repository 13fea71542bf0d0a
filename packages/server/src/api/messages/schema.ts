import { type Static, Type } from "@sinclair/typebox"
import { bodySchema, optional, read, readAny, required } from "../../fields/field.ts"
import {
  cacheControlField,
  limitField,
  MAX_ITEMS,
  modelField,
  PROMPT_ENDING_FIELDS,
  reasoningEffort,
  SAMPLING_FIELDS,
  stopStrings,
  streamField,
  THINKING_FIELDS,
  toolChoiceField,
  toolsField,
} from "../../fields/shared-fields.ts"
import { withUnsupported } from "../../fields/unsupported-fields.ts"

export const MESSAGES_FIELDS = withUnsupported({
  messages: required(
    Type.Array(
      Type.Object(
        { role: optional(Type.String()), content: Type.Optional(Type.Unknown()) },
        { additionalProperties: true },
      ),
      { minItems: 1, maxItems: MAX_ITEMS },
    ),
    "the conversation; text, thinking, tool_use and tool_result blocks",
  ),
  model: modelField,
  max_tokens: limitField,
  system: readAny("system text, or text blocks"),
  ...SAMPLING_FIELDS,
  stop_sequences: read(stopStrings, "texts that end the answer and are no part of it"),
  stream: streamField,
  ...PROMPT_ENDING_FIELDS,
  tools: toolsField,
  tool_choice: read(
    Type.Object(
      { type: Type.String(), disable_parallel_tool_use: optional(Type.Boolean()) },
      { additionalProperties: true },
    ),
    "type auto or none; disable_parallel_tool_use ends the answer after its first call",
    toolChoiceField.refusal,
  ),
  ...THINKING_FIELDS,
  output_config: read(
    Type.Object({ effort: reasoningEffort }, { additionalProperties: true }),
    "effort as in reasoning_effort",
  ),
  metadata: read(
    Type.Object({ user_id: optional(Type.String()) }, { additionalProperties: true }),
    "user_id names the conversation, so that it finds its session",
  ),
  cache_control: cacheControlField,
})

export const MessagesRequest = bodySchema(MESSAGES_FIELDS, "Anthropic message", {
  messages: [{ role: "user", content: "What is 12 + 30?" }],
  max_tokens: 100,
})

export type MessagesRequest = Static<typeof MessagesRequest>
