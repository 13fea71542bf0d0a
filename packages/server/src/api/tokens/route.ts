import { Type } from "@sinclair/typebox"
import { Elysia } from "elysia"
import type { Answers } from "../../serving/answers.ts"
import { renderChatBody } from "../chat-completions/plan.ts"
import { checkTokenIds } from "../completions/plan.ts"
import { ChatRequest } from "../chat-completions/schema.ts"

const TokenizeRequest = Type.Object(
  {
    content: Type.String(),
    special: Type.Optional(
      Type.Boolean({ description: "control strings in the text become control tokens" }),
    ),
  },
  { additionalProperties: true },
)

const DetokenizeRequest = Type.Object(
  { tokens: Type.Array(Type.Integer({ minimum: 0 })) },
  { additionalProperties: true },
)

/** Text to ids, ids to text, and a chat body to its prompt. */
export const tokens = (answers: Answers) => {
  const tags = ["tokens"]
  return new Elysia({ name: "api/tokens" })
    .post(
      "/tokenize",
      async ({ body }) => ({
        tokens: await answers.model.chat.encode([
          { text: body.content, control: body.special === true },
        ]),
      }),
      { body: TokenizeRequest, detail: { summary: "Text to token ids", tags } },
    )
    .post(
      "/detokenize",
      ({ body }) => {
        const { tokenizer } = answers.model.chat
        checkTokenIds(body.tokens, tokenizer.vocab, "tokens")
        return { content: tokenizer.decode(body.tokens) }
      },
      { body: DetokenizeRequest, detail: { summary: "Token ids to text", tags } },
    )
    .post(
      "/apply-template",
      async ({ body }) => {
        const rendered = await renderChatBody(body, answers.model, answers.context)
        return {
          prompt: rendered.segments.map((segment) => segment.text).join(""),
          tokens: rendered.tokens,
        }
      },
      { body: ChatRequest, detail: { summary: "The prompt of a chat request", tags } },
    )
}
