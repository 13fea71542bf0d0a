import { Elysia } from "elysia"
import { operation } from "../../openapi/operation.ts"
import { AnthropicMessage, TokenCount } from "./answer-schema.ts"
import type { Answers } from "../../serving/answers.ts"
import { countPromptTokens, prepareMessages } from "./plan.ts"
import { MessagesRequest } from "./schema.ts"

interface Call {
  body: MessagesRequest
  request: Request
}

export const messages = (answers: Answers) => {
  const answer = ({ body, request }: Call) =>
    answers.run({ request, endpoint: "/v1/messages" }, (model, context) =>
      prepareMessages(body, model, context),
    )
  const count = async ({ body }: Call) => ({
    input_tokens: await countPromptTokens(body, answers.model, answers.context),
  })
  const hidden = { body: MessagesRequest, detail: { hide: true } }
  return new Elysia({ name: "api/messages" })
    .post("/v1/messages", answer, {
      body: MessagesRequest,
      detail: operation({
        summary: "Anthropic message",
        tag: "Anthropic",
        answer: AnthropicMessage,
        stream: "with stream: true, named events from `message_start` to `message_stop`",
        readsBody: true,
        failures: [404, 499],
        errors: "AnthropicError",
      }),
    })
    .post("/v1/messages/count_tokens", count, {
      body: MessagesRequest,
      detail: operation({
        summary: "Tokens of a prompt",
        tag: "Anthropic",
        answer: TokenCount,
        readsBody: true,
        errors: "AnthropicError",
      }),
    })
    .post("/messages", answer, hidden)
    .post("/messages/count_tokens", count, hidden)
}
