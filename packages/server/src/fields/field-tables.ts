import { CHAT_FIELDS } from "../api/chat-completions/schema.ts"
import { COMPLETION_FIELDS } from "../api/completions/schema.ts"
import { MESSAGES_FIELDS } from "../api/messages/schema.ts"
import { RESPONSES_FIELDS } from "../api/responses/schema.ts"
import type { FieldTable } from "./field.ts"

/** The fields of each API's body, by the path of its endpoint. */
export const FIELD_TABLES: Readonly<Record<string, FieldTable>> = {
  "/v1/chat/completions": CHAT_FIELDS,
  "/v1/completions": COMPLETION_FIELDS,
  "/v1/messages": MESSAGES_FIELDS,
  "/v1/responses": RESPONSES_FIELDS,
}
