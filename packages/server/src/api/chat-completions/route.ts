import { Elysia } from "elysia"
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
      detail: {
        summary: "Chat completion",
        description: "A stream of server-sent events with stream: true.",
        tags: ["OpenAI"],
      },
    })
    .post("/chat/completions", answer, { body: ChatRequest, detail: { hide: true } })
}
