// Fields that several APIs support, with one schema and one meaning in all of them.
import { EFFORT_WORDS } from "@ds4/chat"
import { type Static, Type } from "@sinclair/typebox"
import { type FieldTable, ignored, optional, read, readAny } from "./field.ts"

/** Messages, input items: more than any context can hold. */
export const MAX_ITEMS = 100_000
/** Declared tools of one request. */
const MAX_TOOLS = 10_000

/** -1 is "no limit" to the clients that send it. */
const tokenLimit = Type.Integer({ minimum: -1 })

export const limitField = read(
  tokenLimit,
  "most output tokens, at most --max-tokens; 0 only reads the prompt, -1 sets no limit",
)

export const stopStrings = Type.Array(Type.String({ maxLength: 256 }), { maxItems: 16 })

export const SAMPLING_FIELDS = {
  temperature: read(
    Type.Number({ minimum: 0, maximum: 100 }),
    "0 takes the likeliest token; default 1",
  ),
  top_p: read(
    Type.Number({ minimum: 0, maximum: 1 }),
    "keeps the likeliest tokens of this mass; default 1, all",
  ),
  top_k: read(
    Type.Integer({ minimum: -1, maximum: 4_294_967_295 }),
    "keeps the likeliest so many tokens; 0 and -1 keep all",
  ),
  min_p: read(
    Type.Number({ minimum: 0, maximum: 1 }),
    "drops tokens below this share of the likeliest one's probability; default 0.05",
  ),
  seed: read(Type.Integer(), "the same seed and prompt give the same answer on an idle server"),
} satisfies FieldTable

/** Whether the answer is a turn of its own or goes on in the last message, as in vLLM. */
export const PROMPT_ENDING_FIELDS = {
  continue_final_message: read(
    Type.Boolean(),
    "true: the answer goes on in the last message, an assistant's; only the new text is sent",
  ),
  add_generation_prompt: read(
    Type.Boolean(),
    "true: the answer is a turn of its own; false: the prompt ends with the last message",
  ),
} satisfies FieldTable

export const streamField = read(Type.Boolean(), "true: the answer comes as server-sent events")

export const streamOptionsField = read(
  Type.Object(
    { include_usage: optional(Type.Boolean()), include_progress: optional(Type.Boolean()) },
    { additionalProperties: true },
  ),
  "include_usage: a last frame with token counts; include_progress: prefill progress as frames",
)

export const modelField = read(
  Type.String(),
  "any name, echoed; deepseek-chat turns thinking off, deepseek-reasoner on",
)

const effort = Type.Union(EFFORT_WORDS.map((word) => Type.Literal(word)))

const effortField = read(effort, "how long the model thinks; none turns thinking off")

const thinkingField = read(
  Type.Union([
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
  ]),
  "true or false, or an object with type and budget_tokens, after which reasoning is closed",
)

/** The ways in which clients of all APIs ask for thinking or for none. */
export const THINKING_FIELDS = {
  thinking: thinkingField,
  think: read(Type.Boolean(), "the same as thinking: true or false"),
  reasoning_effort: effortField,
  chat_template_kwargs: read(
    Type.Object(
      {
        enable_thinking: optional(Type.Boolean()),
        thinking: optional(Type.Boolean()),
        reasoning_effort: optional(effort),
      },
      { additionalProperties: true },
    ),
    "enable_thinking, thinking and reasoning_effort of vLLM's clients; others are ignored",
  ),
} satisfies FieldTable

export const reasoningEffort = optional(effort)

export const toolsField = read(
  Type.Array(Type.Unknown(), { maxItems: MAX_TOOLS }),
  "functions that the model may call; their names must differ",
)

/** Tools cannot be forced: that needs constrained decoding. */
export const toolChoiceField = readAny(
  "auto or none; none hides the tools from the model",
  (choice) => {
    const word =
      typeof choice === "object" && choice !== null && "type" in choice ? choice.type : choice
    return word === "auto" || word === "none"
      ? undefined
      : 'a call cannot be forced yet; leave it out or send "auto" or "none"'
  },
)

export const parallelCallsField = read(
  Type.Boolean(),
  "false: the answer ends after its first tool call",
)

/** Fields that name a conversation, so that it finds its session again. */
export const SESSION_FIELDS = {
  prompt_cache_key: read(Type.String(), "names the conversation, so that it finds its session"),
  user: read(Type.String(), "the same as prompt_cache_key where that is not given"),
  safety_identifier: read(Type.String(), "the same as prompt_cache_key where that is not given"),
} satisfies FieldTable

export const cacheControlField = ignored("prompts are cached as far as they repeat")

const samplingObject = Type.Object({
  temperature: SAMPLING_FIELDS.temperature.schema,
  top_p: SAMPLING_FIELDS.top_p.schema,
  top_k: SAMPLING_FIELDS.top_k.schema,
  min_p: SAMPLING_FIELDS.min_p.schema,
  seed: SAMPLING_FIELDS.seed.schema,
})
export type SamplingFields = Static<typeof samplingObject>
