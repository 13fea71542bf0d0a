import type { TSchema } from "@sinclair/typebox"
import { Elysia } from "elysia"
import { ApiError, invalid } from "../../http/api-error.ts"
import { type AccessRules, ownerOf } from "../../http/guards.ts"
import { operation } from "../../openapi/operation.ts"
import type { Answers } from "../../serving/answers.ts"
import type { ResponseStore } from "../../stored-responses/response-store.ts"
import type { StoredResponse } from "../../stored-responses/stored-response.ts"
import { CancelledResponse, DeletedResponse, ResponseObject } from "./answer-schema.ts"
import { INPUT_ITEM_QUERY, InputItemList, inputItemPage } from "./input-items.ts"
import { prepareResponse } from "./plan.ts"
import { ResponsesRequest } from "./schema.ts"
import { decodeItems, decodeObject, shownOutput } from "./stored-items.ts"

const ID = { description: "the id of the response", example: `resp_${"0".repeat(32)}` }

interface Asked {
  params: { id: string }
  request: Request
  query: Record<string, string | undefined>
}

export const responses = (answers: Answers, store: ResponseStore, access: AccessRules) => {
  const shelfOf = ({ headers }: Request) => ({ store, owner: ownerOf(headers, access) })
  const answer = ({ body, request }: { body: ResponsesRequest; request: Request }) =>
    answers.run({ request, endpoint: "/v1/responses" }, (model, context) =>
      prepareResponse(body, { headers: request.headers, shelf: shelfOf(request) }, model, context),
    )
  const cancel = ({ params }: { params: { id: string } }) => {
    if (answers.cancelResponse(params.id))
      return { id: params.id, object: "response", status: "cancelled" }
    throw notFound(params.id, "no such response runs")
  }
  return new Elysia({ name: "api/responses" })
    .use(storedResponses(store, access))
    .post("/v1/responses", answer, {
      body: ResponsesRequest,
      detail: operation({
        summary: "Response",
        description:
          "It is stored unless `store` is false: a later request continues it by " +
          "`previous_response_id`, which is not found once it was deleted or had to go " +
          "(`--stored-responses`).",
        tag: "OpenAI",
        answer: ResponseObject,
        stream: "with stream: true, named events from `response.created` to `response.completed`",
        readsBody: true,
        failures: [404, 499],
      }),
    })
    .post("/responses", answer, { body: ResponsesRequest, detail: { hide: true } })
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

/** The endpoints of a response that is stored. */
function storedResponses(store: ResponseStore, access: AccessRules) {
  const get = async ({ params: { id }, request, query }: Asked) => {
    if (query["stream"] === "true")
      throw invalid("stream is true; a stored response is given whole: leave it out", "stream")
    const stored = await store.find(id, ownerOf(request.headers, access))
    if (stored?.response === undefined) throw notFound(id)
    return wholeResponse(stored, stored.response)
  }
  const remove = async ({ params: { id }, request }: Asked) => {
    if (!(await store.remove(id, ownerOf(request.headers, access)))) throw notFound(id)
    return { id, object: "response", deleted: true }
  }
  const inputItems = async ({ params: { id }, request, query }: Asked) => {
    const chain = await store.chain(id, ownerOf(request.headers, access))
    if (chain === undefined) throw notFound(id)
    return inputItemPage(chain, query)
  }
  return new Elysia({ name: "api/stored-responses" })
    .get("/v1/responses/:id", get, { detail: described("A stored response", ResponseObject) })
    .delete("/v1/responses/:id", remove, {
      detail: described("Delete a stored response", DeletedResponse, {
        description:
          "It can no longer be asked for or continued. Responses that continue it already stay " +
          "whole: its items go with the last of them.",
      }),
    })
    .get("/v1/responses/:id/input_items", inputItems, {
      detail: described("What went into a stored response", InputItemList, {
        description: "With the items of the responses that it continues.",
        query: INPUT_ITEM_QUERY,
        failures: [400, 404],
      }),
    })
}

type Described = Partial<Parameters<typeof operation>[0]>

function described(summary: string, answer: TSchema, more: Described = {}) {
  return operation({ summary, tag: "OpenAI", answer, failures: [404], id: ID, ...more })
}

async function wholeResponse({ items }: StoredResponse, response: Uint8Array) {
  const output = shownOutput(await decodeItems(items))
  return { ...(await decodeObject(response)), output }
}

function notFound(id: string, why = "it was not stored, still runs, was deleted or had to go") {
  return new ApiError("NOT_FOUND", `Response with id '${id}' not found: ${why}`, {
    param: "response_id",
    reason: "response_not_found",
  })
}
