import { type Static, Type } from "@sinclair/typebox"
import { bodySchema, ignored, optional, read, refused, required } from "../../fields/field.ts"
import {
  limitField,
  MAX_ITEMS,
  modelField,
  parallelCallsField,
  PROMPT_ENDING_FIELDS,
  reasoningEffort,
  SAMPLING_FIELDS,
  SESSION_FIELDS,
  stopStrings,
  streamField,
  THINKING_FIELDS,
  toolChoiceField,
  toolsField,
} from "../../fields/shared-fields.ts"
import { withUnsupported } from "../../fields/unsupported-fields.ts"

export const RESPONSES_FIELDS = withUnsupported({
  input: required(
    Type.Union([Type.String(), Type.Array(Type.Unknown(), { minItems: 1, maxItems: MAX_ITEMS })]),
    "text or items: the whole conversation, or what is new after previous_response_id",
  ),
  previous_response_id: read(
    Type.String({ maxLength: 256 }),
    "the stored response that this one continues: its input and output come first, its " +
      "instructions and tools do not",
  ),
  store: read(
    Type.Boolean(),
    "false: the response cannot be continued or asked for later; default true",
  ),
  instructions: read(Type.String(), "system text before all else"),
  model: modelField,
  max_output_tokens: limitField,
  max_tokens: limitField,
  ...SAMPLING_FIELDS,
  stop: read(
    Type.Union([Type.String({ maxLength: 256 }), stopStrings]),
    "texts that end the answer and are no part of it",
  ),
  stream: streamField,
  ...PROMPT_ENDING_FIELDS,
  ...THINKING_FIELDS,
  reasoning: read(
    Type.Object(
      {
        effort: reasoningEffort,
        summary: optional(
          Type.Union([Type.Literal("auto"), Type.Literal("concise"), Type.Literal("detailed")]),
        ),
      },
      { additionalProperties: true },
    ),
    "effort as in reasoning_effort; summary shows the reasoning",
  ),
  tools: toolsField,
  tool_choice: toolChoiceField,
  parallel_tool_calls: parallelCallsField,
  text: read(
    Type.Object({ format: Type.Optional(Type.Unknown()) }, { additionalProperties: true }),
    "format: plain text only",
  ),
  include: read(
    Type.Array(Type.String()),
    "reasoning.encrypted_content: the reasoning as a string to send back",
    (names) =>
      Array.isArray(names) && names.includes("message.output_text.logprobs")
        ? "log-probabilities are given by chat completions and completions; leave it out"
        : undefined,
  ),
  prompt: refused(
    "prompts are not stored here; send instructions and input",
    [],
    (value) => typeof value === "string", // another API's field
  ),
  max_tool_calls: ignored("counts calls of hosted tools, of which there are none"),
  stream_options: ignored("there is nothing in it for this API"),
  metadata: read(Type.Unknown(), "labels for the client's own use, echoed"),
  ...SESSION_FIELDS,
})

export const ResponsesRequest = bodySchema(RESPONSES_FIELDS, "OpenAI Responses", {
  input: "What is 12 + 30?",
  max_output_tokens: 100,
})

export type ResponsesRequest = Static<typeof ResponsesRequest>
