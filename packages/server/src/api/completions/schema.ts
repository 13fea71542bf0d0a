import { type Static, Type } from "@sinclair/typebox"
import {
  anyValue,
  optional,
  samplingFields,
  stopField,
  streamOptions,
  tokenLimit,
  unsupportedFields,
} from "../../answer/request-fields.ts"

export const CompletionRequest = Type.Object(
  {
    prompt: Type.Union(
      [Type.String(), Type.Array(Type.String()), Type.Array(Type.Integer({ minimum: 0 }))],
      { description: "raw text, an array with one text, or token ids; no chat template" },
    ),
    model: optional(Type.String()),
    max_tokens: optional(tokenLimit),
    ...samplingFields,
    stop: optional(stopField),
    stream: optional(Type.Boolean()),
    stream_options: streamOptions,
    echo: optional(Type.Boolean()),
    logprobs: optional(Type.Integer({ minimum: 0, maximum: 5 })),
    suffix: anyValue,
    best_of: optional(Type.Integer()),
    prompt_cache_key: optional(Type.String()),
    user: optional(Type.String()),
    ...unsupportedFields,
  },
  { additionalProperties: true, description: "OpenAI text completion" },
)

export type CompletionRequest = Static<typeof CompletionRequest>
