import { describe, expect, test } from "bun:test"
import type { TSchema } from "@sinclair/typebox"
import { Value } from "@sinclair/typebox/value"
import { Validator } from "@seriousme/openapi-schema-validator"
import { toolBlock } from "@ds4/chat/testing"
import { ChatCompletion } from "../api/chat-completions/answer-schema.ts"
import { TextCompletion } from "../api/completions/answer-schema.ts"
import { AnthropicMessage } from "../api/messages/answer-schema.ts"
import { ResponseObject } from "../api/responses/answer-schema.ts"
import { harness } from "../testing/harness.ts"
import { ERROR_SCHEMAS } from "./operation.ts"

interface Operation {
  operationId: string
  summary: string
  parameters?: { name: string; in: string; example?: string }[]
  requestBody?: { content: { "application/json": { schema: object; example?: object } } }
  responses: Record<string, { content: Record<string, { schema?: object }> }>
  security?: object[]
}

interface Description {
  paths: Record<string, Record<string, Operation>>
  security: object[]
  components: { securitySchemes: object }
}

const server = harness()
const description = (await (await server.get("/swagger/json")).json()) as Description
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

/** The answer to an operation's own example. */
async function tryOut({ path, method, operation }: (typeof operations)[number]): Promise<Response> {
  const id = operation.parameters?.find(({ name }) => name === "id")?.example ?? ""
  const body = operation.requestBody?.content["application/json"].example
  return server.app.handle(
    new Request(`http://localhost${path.replace("{id}", id)}`, {
      method: method.toUpperCase(),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  )
}

describe("the description", () => {
  test("is valid OpenAPI", async () => {
    const { valid, errors } = await new Validator().validate({ ...structuredClone(description) })
    expect([valid, errors]).toEqual([true, undefined])
  })

  test("has no schema that OpenAPI 3.0 does not know", () => {
    expect(JSON.stringify(description)).not.toMatch(/"type":"null"|"const":|"type":\[/)
  })

  test.each(operations.map((each) => [`${each.method} ${each.path}`, each] as const))(
    "of %s has an example that runs, and schemas of its answer and its errors",
    async (_, each) => {
      const { operation, path, method } = each
      expect(operation.summary.length).toBeGreaterThan(5)
      if (path.includes("{id}")) expect(operation.parameters?.[0]?.example).toBeString()
      if (operation.requestBody !== undefined || method === "post")
        if (!/\/(cancel|verify|gc)$/.test(path))
          expect(operation.requestBody?.content["application/json"].example).toBeObject()
      for (const status of ["200", "401", "403", "500"])
        expect([status, Object.keys(operation.responses)]).toEqual([
          status,
          expect.arrayContaining([status]),
        ])
      for (const { content } of Object.values(operation.responses))
        for (const media of Object.values(content)) expect(media.schema).toBeObject()
      const answer = await tryOut(each)
      // There is no request and no response of the example's id: nothing runs, nothing is stored.
      const isAbsent = /^\/v1\/(responses|requests|kv)\/\{id\}/.test(path)
      expect(answer.status).toBe(isAbsent ? 404 : 200)
      expect(Object.keys(operation.responses)).toContain(String(answer.status))
    },
  )

  test("names each operation once", () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test("says whether a key is needed, and how to send it", async () => {
    const locked = harness({ settings: ({ access }) => void (access.apiKeys = ["secret"]) })
    const other = (await (await locked.get("/swagger/json")).json()) as Description
    expect(Object.keys(other.components.securitySchemes)).toEqual(["bearer", "header"])
    expect(other.security).toEqual([{ bearer: [] }, { header: [] }])
    expect(description.security).toEqual([{}, { bearer: [] }, { header: [] }])
    expect(other.paths["/health"]?.get?.security).toEqual([])
  })
})

describe("answers are what the description says", () => {
  const tools = [
    { type: "function", name: "f", function: { name: "f" }, input_schema: { type: "object" } },
  ]
  const speaking = harness({
    script: ({ maxTokens, toolZones }) => {
      if (maxTokens === 5) return "one two three four five six seven"
      const calls = toolZones === true ? toolBlock({ name: "f", arguments: { a: 1 } }) : ""
      return `Hm.</think>So.${calls}`
    },
  })
  const messages = [{ role: "user", content: "hi" }]
  const reasoning = { summary: "auto" }
  const include = ["reasoning.encrypted_content"]
  const cases: [string, string, TSchema, object][] = [
    ["plain", "/v1/chat/completions", ChatCompletion, { messages }],
    ["cut", "/v1/chat/completions", ChatCompletion, { messages, max_tokens: 5 }],
    ["calls", "/v1/chat/completions", ChatCompletion, { messages, tools }],
    [
      "logprobs",
      "/v1/chat/completions",
      ChatCompletion,
      { messages, logprobs: true, top_logprobs: 2 },
    ],
    ["plain", "/v1/completions", TextCompletion, { prompt: "a", logprobs: 2 }],
    ["cut", "/v1/completions", TextCompletion, { prompt: "a", max_tokens: 5 }],
    ["plain", "/v1/messages", AnthropicMessage, { messages }],
    ["calls", "/v1/messages", AnthropicMessage, { messages, tools }],
    ["cut", "/v1/messages", AnthropicMessage, { messages, max_tokens: 5 }],
    ["plain", "/v1/responses", ResponseObject, { input: "hi", reasoning, include }],
    ["calls", "/v1/responses", ResponseObject, { input: "hi", tools }],
    ["cut", "/v1/responses", ResponseObject, { input: "hi", max_output_tokens: 5 }],
  ]
  test.each(cases)("%s of %s", async (_, path, schema, body) => {
    const answer = await speaking.post(path, body)
    expect(answer.status).toBe(200)
    const value: unknown = await answer.json()
    const fault = Value.Errors(schema, value).First()
    expect([fault?.path, fault?.message, fault?.value]).toEqual([undefined, undefined, undefined])
  })

  test("errors, in both shapes", async () => {
    const openai: unknown = await (await server.post("/v1/chat/completions", {})).json()
    const anthropic: unknown = await (await server.post("/v1/messages", {})).json()
    expect(Value.Check(ERROR_SCHEMAS.Error, openai)).toBe(true)
    expect(Value.Check(ERROR_SCHEMAS.AnthropicError, anthropic)).toBe(true)
  })
})
