import { type Static, Type } from "@sinclair/typebox"
import { bodySchema, optional, read, required } from "../../fields/field.ts"
import { CHAT_FIELDS } from "../chat-completions/schema.ts"
import { COMPLETION_FIELDS } from "../completions/schema.ts"

const label = Type.String({ minLength: 1, maxLength: 200 })

/** The fields of a chat or of a raw prompt, and a name. */
const SAVE_FIELDS = {
  ...CHAT_FIELDS,
  label: required(label, "the name; a state that had it before is replaced"),
  messages: read(CHAT_FIELDS.messages.schema, "the conversation, as in chat completions"),
  prompt: read(COMPLETION_FIELDS.prompt.schema, "raw text or token ids in place of messages"),
  special: COMPLETION_FIELDS.special,
}

export const SaveRequest = bodySchema(
  SAVE_FIELDS,
  "A name, and a conversation or a raw prompt; fields as in chat completions",
  { label: "greeting", messages: [{ role: "user", content: "What is 12 + 30?" }] },
)
export type SaveRequest = Static<typeof SaveRequest>

export const LoadRequest = Type.Object(
  { label: optional(label), key: optional(Type.String()) },
  { additionalProperties: true, example: { label: "greeting" } },
)
export type LoadRequest = Static<typeof LoadRequest>

const text = Type.Union([Type.String(), Type.Null()])
const figures = { additionalProperties: true }

const Checkpoint = Type.Object({
  key: Type.String(),
  tokens: Type.Integer({ description: "tokens of a prompt that it spares" }),
  bytes: Type.Integer({ description: "with all pages, which others may share" }),
  own_bytes: Type.Integer({ description: "its removal frees so many" }),
  created: Type.Integer({ description: "Unix seconds" }),
  last_used: Type.Union([Type.Integer(), Type.Null()]),
  uses: Type.Integer(),
  reason: Type.String({ description: "anchor, turn, interval, or saved: by name" }),
  label: text,
  model: text,
  preview: text,
  usable: Type.Boolean({ description: "whether this server's model may continue from it" }),
})

export const CheckpointList = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(Checkpoint),
  disk: Type.Union([
    Type.Object({ checkpoints: Type.Integer(), bytes: Type.Integer() }, figures),
    Type.Null(),
  ]),
  memory: Type.Object({ prefixes: Type.Integer(), bytes: Type.Integer() }, figures),
})

export const Removed = Type.Object({ key: Type.String(), deleted: Type.Literal(true) })

export const SavedState = Type.Object({
  key: Type.String(),
  label: Type.String(),
  tokens: Type.Integer({ description: "tokens of the prompt that the state covers" }),
  prompt_tokens: Type.Integer(),
  cached_tokens: Type.Integer({ description: "tokens that were not computed for it" }),
  bytes_written: Type.Integer({ description: "0: the same state was there under this name" }),
  replaced: Type.Array(Type.String(), { description: "keys that had the name before" }),
})

export const LoadedState = Type.Object({ key: Type.String(), label: text, tokens: Type.Integer() })

export const Verification = Type.Object({
  files: Type.Integer(),
  bytes: Type.Integer(),
  damaged: Type.Array(Type.Object({ file: Type.String(), problem: Type.String() })),
})

export const Collected = Type.Object({ files: Type.Integer(), bytes: Type.Integer() })
