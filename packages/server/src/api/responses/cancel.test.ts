import { expect, test } from "bun:test"
import { errorOf } from "../../testing/answered-errors.ts"
import { harness } from "../../testing/harness.ts"

test("a running response is cancelled by its id, a stored one is never there", async () => {
  const server = harness({ script: () => "the ".repeat(50_000), tokenMs: 2 })
  const response = await server.post("/v1/responses", { input: "hi", stream: true })
  const reader = response.body?.getReader()
  const id =
    /resp_[0-9a-f]+/.exec(new TextDecoder().decode((await reader?.read())?.value))?.[0] ?? ""
  expect((await server.post(`/v1/responses/${id}/cancel`, "")).status).toBe(200)
  let text = ""
  for (
    let part = await reader?.read();
    part !== undefined && !part.done;
    part = await reader?.read()
  )
    text += new TextDecoder().decode(part.value)
  expect(text).toContain("event: response.failed")
  expect(await errorOf(await server.get(`/v1/responses/${id}`))).toMatchObject({
    code: "response_not_found",
    type: "not_found_error",
  })
})
