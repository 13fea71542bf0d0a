import { Elysia } from "elysia"
import { ApiError } from "../../http/api-error.ts"
import type { Answers } from "../../serving/answers.ts"
import { prepareResponse } from "./plan.ts"
import { ResponsesRequest } from "./schema.ts"

const REPLAY_HINT =
  "responses are not stored here; send the whole conversation as `input`, with the output items " +
  "of earlier responses"

export const responses = (answers: Answers) => {
  const answer = ({ body, request }: { body: ResponsesRequest; request: Request }) =>
    answers.run({ request, endpoint: "/v1/responses" }, (model, context) =>
      prepareResponse(body, request.headers, model, context),
    )
  const notStored = ({ params }: { params: { id: string } }) => {
    throw new ApiError("NOT_FOUND", `no response "${params.id}": ${REPLAY_HINT}`, {
      param: "response_id",
      reason: "response_not_found",
    })
  }
  const cancel = ({ params }: { params: { id: string } }) => {
    if (answers.cancelResponse(params.id))
      return { id: params.id, object: "response", status: "cancelled" }
    return notStored({ params })
  }
  const tags = ["OpenAI"]
  return new Elysia({ name: "api/responses" })
    .post("/v1/responses", answer, {
      body: ResponsesRequest,
      detail: { summary: "Response", description: "Nothing is stored.", tags },
    })
    .post("/responses", answer, { body: ResponsesRequest, detail: { hide: true } })
    .get("/v1/responses/:id", notStored, {
      detail: { summary: "Always 404: nothing is stored", tags },
    })
    .delete("/v1/responses/:id", notStored, { detail: { hide: true } })
    .post("/v1/responses/:id/cancel", cancel, {
      detail: { summary: "Cancel a running response", tags },
    })
}
