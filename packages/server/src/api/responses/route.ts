import { Elysia } from "elysia"
import { operation } from "../../openapi/operation.ts"
import { CancelledResponse, ResponseObject } from "./answer-schema.ts"
import { ApiError } from "../../http/api-error.ts"
import type { Answers } from "../../serving/answers.ts"
import { prepareResponse } from "./plan.ts"
import { ResponsesRequest } from "./schema.ts"

const REPLAY_HINT =
  "responses are not stored here; send the whole conversation as `input`, with the output items " +
  "of earlier responses"

const ID = { description: "the id of the response", example: `resp_${"0".repeat(32)}` }

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
  return new Elysia({ name: "api/responses" })
    .post("/v1/responses", answer, {
      body: ResponsesRequest,
      detail: operation({
        summary: "Response",
        description: "Nothing is stored.",
        tag: "OpenAI",
        answer: ResponseObject,
        stream: "with stream: true, named events from `response.created` to `response.completed`",
        readsBody: true,
        failures: [404, 499],
      }),
    })
    .post("/responses", answer, { body: ResponsesRequest, detail: { hide: true } })
    .get("/v1/responses/:id", notStored, {
      detail: operation({
        summary: "Always 404: nothing is stored",
        tag: "OpenAI",
        answer: ResponseObject,
        failures: [404],
        id: ID,
      }),
    })
    .delete("/v1/responses/:id", notStored, { detail: { hide: true } })
    .post("/v1/responses/:id/cancel", cancel, {
      detail: operation({
        summary: "Cancel a running response",
        tag: "OpenAI",
        answer: CancelledResponse,
        failures: [404],
        id: ID,
      }),
    })
}
