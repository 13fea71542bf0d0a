import { Elysia } from "elysia"
import { operation } from "../../openapi/operation.ts"
import { TextCompletion } from "./answer-schema.ts"
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
      detail: operation({
        summary: "Text completion of a raw prompt",
        tag: "OpenAI",
        answer: TextCompletion,
        stream: "with stream: true, frames `data: {text_completion}` and a last `[DONE]`",
        readsBody: true,
        failures: [404, 499],
      }),
    })
    .post("/completions", answer, { body: CompletionRequest, detail: { hide: true } })
}
