import { afterAll, expect, test } from "bun:test"
import { listenWithClient, model } from "../../testing/openai-client.ts"

const { server, client } = listenWithClient()
afterAll(() => server.stop())

test("completions are raw text: BOS, the text, no template", async () => {
  const answer = await client.completions.create({
    model,
    prompt: "raw the text",
    echo: true,
    logprobs: 2,
  })
  expect(answer.choices[0]?.text).toBe("raw the textThe answer is 7.")
  const { tokenizer } = server.state.require().chat
  expect(server.engine.requests.at(-1)?.promptTokens).toEqual([
    tokenizer.bos,
    ...tokenizer.encode("raw the text"),
  ])
  expect(answer.choices[0]?.logprobs?.text_offset?.[0]).toBe("raw the text".length)
  const ids = await client.completions.create({ model, prompt: [tokenizer.bos, 100, 101] })
  expect(ids.usage?.prompt_tokens).toBe(3)
  const stream = await client.completions.create({ model, prompt: "a", stream: true })
  let text = ""
  for await (const chunk of stream) text += chunk.choices[0]?.text ?? ""
  expect(text).toBe("The answer is 7.")
  expect(
    await client.completions.create({ model, prompt: ["a", "b"] }).catch((error: unknown) => error),
  ).toMatchObject({ status: 400, param: "prompt" })
  expect(
    await client.completions.create({ model, prompt: [99_999] }).catch((error: unknown) => error),
  ).toMatchObject({ status: 400, param: "prompt[0]" })
})
