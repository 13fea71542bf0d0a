import type { Outcome } from "../../answer/outcome.ts"

/** The usage object of the Responses API. */
function responsesUsage({ usage, cache }: Outcome): Record<string, unknown> {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: {
      cached_tokens: usage.cachedTokens,
      cache_write_tokens: usage.promptTokens - usage.cachedTokens,
    },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.promptTokens + usage.completionTokens,
    ...(cache === undefined ? {} : { cache_explanation: cache }),
  }
}

/** The members of a response object that are known at its end. */
export function endingOf(outcome: Outcome): Record<string, unknown> {
  const { finish, detail } = outcome
  const details =
    detail === undefined
      ? { reason: "max_output_tokens" }
      : { reason: detail.type, message: detail.message }
  const isTold = finish === "length" || detail !== undefined
  return {
    ...(isTold ? { incomplete_details: details } : {}),
    usage: responsesUsage(outcome),
  }
}
