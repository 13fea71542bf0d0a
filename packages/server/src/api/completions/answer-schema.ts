import { Type } from "@sinclair/typebox"
import { completionUsage, timingFigures } from "../../answer/answer-schemas.ts"

/** A `text_completion` object. */
export const TextCompletion = Type.Object({
  id: Type.String(),
  object: Type.Literal("text_completion"),
  created: Type.Integer(),
  model: Type.String(),
  system_fingerprint: Type.String(),
  choices: Type.Array(
    Type.Object({
      text: Type.String(),
      index: Type.Literal(0),
      logprobs: Type.Union([
        Type.Object({
          tokens: Type.Array(Type.String()),
          token_logprobs: Type.Array(Type.Number()),
          top_logprobs: Type.Array(Type.Object({}, { additionalProperties: Type.Number() })),
          text_offset: Type.Array(Type.Integer()),
        }),
        Type.Null(),
      ]),
      finish_reason: Type.Union([Type.Literal("stop"), Type.Literal("length")]),
    }),
  ),
  usage: completionUsage,
  timings: timingFigures,
})
