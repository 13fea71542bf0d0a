import { Type } from "@sinclair/typebox"
import { operation } from "../../openapi/operation.ts"
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
  { additionalProperties: true, example: { content: "Hello world" } },
)

const DetokenizeRequest = Type.Object(
  { tokens: Type.Array(Type.Integer({ minimum: 0 })) },
  { additionalProperties: true, example: { tokens: [100, 101, 102] } },
)

const TokenIds = Type.Object({ tokens: Type.Array(Type.Integer()) })
const PlainText = Type.Object({ content: Type.String() })
const RenderedPrompt = Type.Object({
  prompt: Type.String({ description: "/v1/completions reads it" }),
  tokens: Type.Array(Type.Integer()),
})

/** Ids that are written before the event loop turns. */
const IDS_PER_TURN = 65_536

/** `{"tokens":[…]}`; millions of ids are written in slices, between which the loop turns. */
async function writtenIds(ids: readonly number[]): Promise<Response> {
  const pieces: string[] = []
  for (let begin = 0; begin < ids.length; begin += IDS_PER_TURN) {
    if (begin > 0) await new Promise((resolve) => setImmediate(resolve))
    pieces.push(ids.slice(begin, begin + IDS_PER_TURN).join(","))
  }
  const headers = { "content-type": "application/json" }
  return new Response(`{"tokens":[${pieces.join(",")}]}`, { headers })
}

/** Text to ids, ids to text, and a chat body to its prompt. */
export const tokens = (answers: Answers) => {
  return new Elysia({ name: "api/tokens" })
    .post(
      "/tokenize",
      async ({ body: { content, special } }) =>
        writtenIds(await answers.model.chat.encode([{ text: content, control: special === true }])),
      {
        body: TokenizeRequest,
        detail: operation({
          summary: "Text to token ids",
          tag: "tokens",
          answer: TokenIds,
          readsBody: true,
        }),
      },
    )
    .post(
      "/detokenize",
      ({ body }) => {
        const { tokenizer } = answers.model.chat
        checkTokenIds(body.tokens, tokenizer.vocab, "tokens")
        return { content: tokenizer.decode(body.tokens) }
      },
      {
        body: DetokenizeRequest,
        detail: operation({
          summary: "Token ids to text",
          tag: "tokens",
          answer: PlainText,
          readsBody: true,
        }),
      },
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
      {
        body: ChatRequest,
        detail: operation({
          summary: "The prompt of a chat request",
          tag: "tokens",
          answer: RenderedPrompt,
          readsBody: true,
        }),
      },
    )
}
