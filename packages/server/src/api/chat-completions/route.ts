import { Elysia } from "elysia"
import { operation } from "../../openapi/operation.ts"
import { ChatCompletion } from "./answer-schema.ts"
import type { Answers } from "../../serving/answers.ts"
import { prepareChat } from "./plan.ts"
import { ChatRequest } from "./schema.ts"

export const chatCompletions = (answers: Answers) => {
  const answer = ({ body, request }: { body: ChatRequest; request: Request }) =>
    answers.run({ request, endpoint: "/v1/chat/completions" }, (model, context) =>
      prepareChat(body, request.headers, model, context),
    )
  return new Elysia({ name: "api/chat-completions" })
    .post("/v1/chat/completions", answer, {
      body: ChatRequest,
      detail: operation({
        summary: "Chat completion",
        tag: "OpenAI",
        answer: ChatCompletion,
        stream: "with stream: true, frames `data: {chat.completion.chunk}` and a last `[DONE]`",
        readsBody: true,
        failures: [404, 499],
      }),
    })
    .post("/chat/completions", answer, { body: ChatRequest, detail: { hide: true } })
}
