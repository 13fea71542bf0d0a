// Request fields that several endpoints share. TypeBox: the same schema validates and describes.
import { EFFORT_WORDS } from "@ds4/chat"
import { type Static, type TSchema, Type } from "@sinclair/typebox"

/** The field may be absent or null; null means absent. */
export const optional = <T extends TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]))

export const anyValue = Type.Optional(Type.Unknown())

/** -1 is "no limit" to the clients that send it. */
export const tokenLimit = Type.Integer({
  minimum: -1,
  description: "most output tokens; 0 reads the prompt only, -1 sets no limit",
})

export const stopField = Type.Union([
  Type.String({ maxLength: 256 }),
  Type.Array(Type.String({ maxLength: 256 }), { maxItems: 16 }),
])

export const samplingFields = {
  temperature: optional(Type.Number({ minimum: 0, maximum: 100 })),
  top_p: optional(Type.Number({ minimum: 0, maximum: 1 })),
  top_k: optional(Type.Integer({ minimum: -1, maximum: 4_294_967_295 })),
  min_p: optional(Type.Number({ minimum: 0, maximum: 1 })),
  seed: optional(Type.Integer()),
}

/** Whether the answer is a turn of its own or goes on in the last message, as in vLLM. */
export const promptEndingFields = {
  continue_final_message: optional(
    Type.Boolean({
      description:
        "true: the answer goes on in the last message, an assistant's; only the new text is sent",
    }),
  ),
  add_generation_prompt: optional(
    Type.Boolean({
      description:
        "true: the answer is a turn of its own; false: the prompt ends with the last message",
    }),
  ),
}

export const streamOptions = optional(
  Type.Object(
    {
      include_usage: optional(Type.Boolean()),
      include_progress: optional(Type.Boolean({ description: "prefill progress as data frames" })),
    },
    { additionalProperties: true },
  ),
)

export const effortField = Type.Union(EFFORT_WORDS.map((word) => Type.Literal(word)))

export const thinkingField = Type.Union([
  Type.Boolean(),
  Type.Object(
    {
      type: optional(
        Type.Union([Type.Literal("enabled"), Type.Literal("disabled"), Type.Literal("adaptive")]),
      ),
      budget_tokens: optional(Type.Integer({ minimum: 1 })),
    },
    { additionalProperties: true },
  ),
])

/**
 * Fields that are known and not supported; `checkUnsupported` refuses values that ask for
 * something.
 */
export const unsupportedFields = {
  n: optional(Type.Integer({ description: "1" })),
  logit_bias: anyValue,
  frequency_penalty: optional(Type.Number()),
  presence_penalty: optional(Type.Number()),
  repetition_penalty: optional(Type.Number()),
}

const samplingObject = Type.Object(samplingFields)
export type SamplingFields = Static<typeof samplingObject>

const unsupportedObject = Type.Object(unsupportedFields)
export type UnsupportedFields = Static<typeof unsupportedObject>
