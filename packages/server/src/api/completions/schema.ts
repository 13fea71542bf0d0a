import { type Static, Type } from "@sinclair/typebox"
import { bodySchema, read, refused, required } from "../../fields/field.ts"
import {
  limitField,
  modelField,
  SAMPLING_FIELDS,
  SESSION_FIELDS,
  stopStrings,
  streamField,
  streamOptionsField,
} from "../../fields/shared-fields.ts"
import { withUnsupported } from "../../fields/unsupported-fields.ts"

const tokenIds = Type.Array(Type.Integer({ minimum: 0 }))

export const COMPLETION_FIELDS = withUnsupported({
  prompt: required(
    Type.Union([Type.String(), Type.Array(Type.String()), tokenIds, Type.Array(tokenIds)]),
    "raw text or token ids, or an array with one of them; no chat template",
  ),
  model: modelField,
  max_tokens: limitField,
  ...SAMPLING_FIELDS,
  stop: read(
    Type.Union([Type.String({ maxLength: 256 }), stopStrings]),
    "texts that end the answer and are no part of it",
  ),
  stream: streamField,
  stream_options: streamOptionsField,
  special: read(
    Type.Boolean(),
    "false: control strings in the prompt are plain text; default true, as /apply-template writes",
  ),
  echo: read(Type.Boolean(), "true: the prompt is given back before the answer"),
  logprobs: read(
    Type.Integer({ minimum: 0, maximum: 5 }),
    "the log-probability of each token of the answer and so many alternatives",
  ),
  add_special_tokens: refused("a prompt always begins with the model's first token", [true]),
  ...SESSION_FIELDS,
})

export const CompletionRequest = bodySchema(COMPLETION_FIELDS, "OpenAI text completion", {
  prompt: "The capital of France is",
  max_tokens: 16,
})

export type CompletionRequest = Static<typeof CompletionRequest>
