import { Elysia } from "elysia"
import type { Answers } from "../../serving/answers.ts"
import { prepareCompletion } from "./plan.ts"
import { CompletionRequest } from "./schema.ts"

export const completions = (answers: Answers) => {
  const answer = ({ body, request }: { body: CompletionRequest; request: Request }) =>
    answers.run({ request, endpoint: "/v1/completions" }, (model, context) =>
      prepareCompletion(body, request.headers, model, context),
    )
  return new Elysia({ name: "api/completions" })
    .post("/v1/completions", answer, {
      body: CompletionRequest,
      detail: {
        summary: "Text completion of a raw prompt",
        description: "A stream of server-sent events with stream: true.",
        tags: ["OpenAI"],
      },
    })
    .post("/completions", answer, { body: CompletionRequest, detail: { hide: true } })
}
