import { Elysia } from "elysia"
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
      detail: { summary: "Anthropic message", tags: ["Anthropic"] },
    })
    .post("/v1/messages/count_tokens", count, {
      body: MessagesRequest,
      detail: { summary: "Tokens of a prompt", tags: ["Anthropic"] },
    })
    .post("/messages", answer, hidden)
    .post("/messages/count_tokens", count, hidden)
}
