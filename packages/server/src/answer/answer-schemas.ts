// Parts of answers that several endpoints share, for their descriptions.
import { Type } from "@sinclair/typebox"

const cachedDetails = Type.Object({
  cached_tokens: Type.Integer({ description: "prompt tokens that were not computed again" }),
  cache_write_tokens: Type.Integer({ description: "prompt tokens that were computed now" }),
})
const reasoningDetails = Type.Object({ reasoning_tokens: Type.Integer() })

/** OpenAI's usage of the two completion APIs. */
export const completionUsage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: cachedDetails,
  completion_tokens_details: reasoningDetails,
})

export const responsesUsage = Type.Object({
  input_tokens: Type.Integer(),
  input_tokens_details: cachedDetails,
  output_tokens: Type.Integer(),
  output_tokens_details: reasoningDetails,
  total_tokens: Type.Integer(),
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
