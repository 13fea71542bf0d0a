import { Type } from "@sinclair/typebox"
import { cacheExplanation } from "../../answer/answer-schemas.ts"

const block = Type.Union([
  Type.Object({
    type: Type.Literal("thinking"),
    thinking: Type.String(),
    signature: Type.String(),
  }),
  Type.Object({ type: Type.Literal("text"), text: Type.String() }),
  Type.Object({
    type: Type.Literal("tool_use"),
    id: Type.String(),
    name: Type.String(),
    input: Type.Object({}, { additionalProperties: true }),
  }),
])

/** A `message` object. */
export const AnthropicMessage = Type.Object({
  id: Type.String(),
  type: Type.Literal("message"),
  role: Type.Literal("assistant"),
  model: Type.String(),
  content: Type.Array(block),
  stop_reason: Type.Union([
    Type.Literal("end_turn"),
    Type.Literal("stop_sequence"),
    Type.Literal("max_tokens"),
    Type.Literal("tool_use"),
  ]),
  stop_sequence: Type.Union([Type.String(), Type.Null()]),
  usage: Type.Object({
    input_tokens: Type.Integer(),
    cache_creation_input_tokens: Type.Integer(),
    cache_read_input_tokens: Type.Integer(),
    output_tokens: Type.Integer(),
    cache_explanation: cacheExplanation,
  }),
})

export const TokenCount = Type.Object({ input_tokens: Type.Integer() })
