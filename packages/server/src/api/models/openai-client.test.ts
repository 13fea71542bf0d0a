import { afterAll, expect, test } from "bun:test"
import { listenWithClient, model } from "../../testing/openai-client.ts"

const { server, client } = listenWithClient()
afterAll(() => server.stop())

test("models are listed", async () => {
  const list = await client.models.list()
  expect(list.data.map((each) => each.id)).toEqual([model])
  expect(await client.models.retrieve(model)).toMatchObject({
    object: "model",
    context_length: 100_000,
  })
})
