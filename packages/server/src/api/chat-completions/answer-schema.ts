import { Type } from "@sinclair/typebox"
import { completionUsage, timingFigures, tokenLogprob } from "../../answer/answer-schemas.ts"

const call = Type.Object({
  id: Type.String(),
  type: Type.Literal("function"),
  function: Type.Object({ name: Type.String(), arguments: Type.String() }),
})

/** A `chat.completion` object. */
export const ChatCompletion = Type.Object({
  id: Type.String(),
  object: Type.Literal("chat.completion"),
  created: Type.Integer(),
  model: Type.String(),
  system_fingerprint: Type.String(),
  choices: Type.Array(
    Type.Object({
      index: Type.Literal(0),
      message: Type.Object({
        role: Type.Literal("assistant"),
        content: Type.Union([Type.String(), Type.Null()]),
        reasoning_content: Type.Optional(Type.String()),
        tool_calls: Type.Optional(Type.Array(call)),
      }),
      logprobs: Type.Union([
        Type.Object({
          content: Type.Array(tokenLogprob),
          reasoning_content: Type.Optional(Type.Array(tokenLogprob)),
        }),
        Type.Null(),
      ]),
      finish_reason: Type.Union([
        Type.Literal("stop"),
        Type.Literal("length"),
        Type.Literal("tool_calls"),
      ]),
    }),
  ),
  usage: completionUsage,
  timings: timingFigures,
})
