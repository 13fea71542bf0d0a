import { type Static, Type } from "@sinclair/typebox"
import {
  anyValue,
  effortField,
  optional,
  promptEndingFields,
  samplingFields,
  thinkingField,
  tokenLimit,
} from "../../answer/request-fields.ts"

export const MessagesRequest = Type.Object(
  {
    messages: Type.Array(
      Type.Object(
        { role: optional(Type.String()), content: anyValue },
        { additionalProperties: true },
      ),
      { minItems: 1 },
    ),
    model: optional(Type.String()),
    max_tokens: optional(tokenLimit),
    system: anyValue,
    ...samplingFields,
    stop_sequences: optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 16 })),
    stream: optional(Type.Boolean()),
    ...promptEndingFields,
    tools: optional(Type.Array(Type.Unknown())),
    tool_choice: optional(
      Type.Object(
        {
          type: Type.String({ description: "auto or none" }),
          disable_parallel_tool_use: optional(Type.Boolean()),
        },
        { additionalProperties: true },
      ),
    ),
    thinking: optional(thinkingField),
    output_config: optional(
      Type.Object({ effort: optional(effortField) }, { additionalProperties: true }),
    ),
    reasoning_effort: optional(effortField),
    metadata: optional(
      Type.Object({ user_id: optional(Type.String()) }, { additionalProperties: true }),
    ),
  },
  { additionalProperties: true, description: "Anthropic message" },
)

export type MessagesRequest = Static<typeof MessagesRequest>
