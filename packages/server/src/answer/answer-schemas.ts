// Parts of answers that several endpoints share, for their descriptions.
import { Type } from "@sinclair/typebox"

const cachedDetails = Type.Object({
  cached_tokens: Type.Integer({ description: "prompt tokens that were not computed again" }),
  cache_write_tokens: Type.Integer({ description: "prompt tokens that were computed now" }),
})
const reasoningDetails = Type.Object({ reasoning_tokens: Type.Integer() })

const tokensJson = Type.Object({ ids: Type.Array(Type.Integer()), text: Type.String() })

/** With the header x-ds4-explain-cache: 1. */
export const cacheExplanation = Type.Optional(
  Type.Object(
    {
      source: Type.String({ description: "memory, disk or none" }),
      cached_tokens: Type.Integer(),
      reason: Type.String(),
      nearest: Type.Union([
        Type.Object({
          source: Type.String({ description: "memory or disk" }),
          shared_tokens: Type.Integer(),
          byte_offset: Type.Integer({ description: "in the rendered prompt" }),
          known: tokensJson,
          prompt: tokensJson,
        }),
        Type.Null(),
      ]),
    },
    { description: "with the header x-ds4-explain-cache: 1" },
  ),
)

/** OpenAI's usage of the two completion APIs. */
export const completionUsage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: cachedDetails,
  completion_tokens_details: reasoningDetails,
  cache_explanation: cacheExplanation,
})

export const responsesUsage = Type.Object({
  input_tokens: Type.Integer(),
  input_tokens_details: cachedDetails,
  output_tokens: Type.Integer(),
  output_tokens_details: reasoningDetails,
  total_tokens: Type.Integer(),
  cache_explanation: cacheExplanation,
})

/** Counts, milliseconds and tokens per second of prompt and answer. */
export const timingFigures = Type.Object({
  prompt_n: Type.Integer(),
  prompt_ms: Type.Number(),
  prompt_per_second: Type.Number(),
  predicted_n: Type.Integer(),
  predicted_ms: Type.Number(),
  predicted_per_second: Type.Number(),
  cache_n: Type.Integer(),
})

const logprob = {
  token: Type.String(),
  logprob: Type.Number(),
  bytes: Type.Array(Type.Integer()),
}

export const tokenLogprob = Type.Object({
  ...logprob,
  top_logprobs: Type.Array(Type.Object(logprob)),
})
