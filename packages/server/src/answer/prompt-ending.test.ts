import { describe, expect, test } from "bun:test"
import { harness } from "../testing/harness.ts"

const ASSISTANT = "<｜Assistant｜>"
const END = "<｜end▁of▁sentence｜>"
const server = harness({ script: () => " red.", batchTokens: 20 })

/** The end of the prompt that the last request became. */
const promptEnd = (): string => {
  const { tokenizer } = server.state.require().chat
  const prompt = tokenizer.decode(server.engine.requests.at(-1)?.promptTokens ?? [])
  return prompt.slice(prompt.indexOf(ASSISTANT))
}

const user = { role: "user", content: "A poem." }
const answer = { role: "assistant", content: "Roses are" }
const NEW_TURN = `${ASSISTANT}</think>Roses are${END}${ASSISTANT}</think>`
const GOES_ON = `${ASSISTANT}</think>Roses are`
const vllm = { continue_final_message: true, add_generation_prompt: false }

interface Api {
  path: string
  body: (messages: object[], more?: object) => object
  text: (answer: unknown) => string
}
const APIS: Record<"chat" | "responses" | "messages", Api> = {
  chat: {
    path: "/v1/chat/completions",
    body: (messages, more) => ({ messages, thinking: false, ...more }),
    text: (answer) =>
      (answer as { choices: { message: { content: string } }[] }).choices[0]?.message.content ?? "",
  },
  responses: {
    path: "/v1/responses",
    body: (input, more) => ({ input, reasoning: { effort: "none" }, ...more }),
    text: (answer) =>
      (answer as { output: { content: { text: string }[] }[] }).output[0]?.content[0]?.text ?? "",
  },
  messages: {
    path: "/v1/messages",
    body: (messages, more) => ({
      messages,
      thinking: { type: "disabled" },
      max_tokens: 20,
      ...more,
    }),
    text: (answer) => (answer as { content: { text: string }[] }).content[0]?.text ?? "",
  },
}

async function ask(name: keyof typeof APIS, last: object, more: object = {}): Promise<string> {
  const { path, body, text } = APIS[name]
  const streamed = await server.post(path, body([user, last], { ...more, stream: true }))
  expect(await streamed.text()).toContain("red")
  const streamedEnd = promptEnd()
  const response = await server.post(path, body([user, last], more))
  expect(response.status).toBe(200)
  expect(text(await response.json())).toBe(" red.")
  expect(promptEnd()).toBe(streamedEnd)
  return streamedEnd
}

describe("a conversation that ends with an assistant message", () => {
  test("is answered by a new turn in chat completions and responses", async () => {
    expect(await ask("chat", answer)).toBe(NEW_TURN)
    expect(await ask("responses", answer)).toBe(NEW_TURN)
  })

  test("is continued in messages, unless the client asks for a new turn", async () => {
    expect(await ask("messages", answer)).toBe(GOES_ON)
    expect(await ask("messages", answer, { add_generation_prompt: true })).toBe(NEW_TURN)
  })

  test("is continued by continue_final_message in every API; only new text is sent", async () => {
    for (const name of ["chat", "responses", "messages"] as const)
      expect(await ask(name, answer, vllm)).toBe(GOES_ON)
    expect(await ask("chat", { ...answer, prefix: true })).toBe(GOES_ON)
  })

  test("is continued in its reasoning where it has no content yet", async () => {
    const last = { role: "assistant", content: "", reasoning_content: "Hm", prefix: true }
    const body = { messages: [user, last], thinking: true }
    const response = await server.post("/v1/chat/completions", body)
    expect(promptEnd()).toBe(`${ASSISTANT}<think>Hm`)
    expect(await response.json()).toMatchObject({
      choices: [{ message: { reasoning_content: " red.", content: "" } }],
    })
  })

  test("shows the same prompt in /apply-template", async () => {
    const prompt = async (more: object) => {
      const body = { messages: [user, answer], thinking: false, ...more }
      const response = await server.post("/apply-template", body)
      return ((await response.json()) as { prompt: string }).prompt
    }
    expect(await prompt({})).toEndWith(NEW_TURN)
    expect(await prompt(vllm)).toEndWith(GOES_ON)
    expect(await prompt({ add_generation_prompt: false })).toEndWith(`Roses are${END}`)
  })

  test.each<[keyof typeof APIS, object, object]>([
    ["chat", answer, { continue_final_message: true, add_generation_prompt: true }],
    ["chat", user, { continue_final_message: true }],
    ["responses", user, { continue_final_message: true }],
    ["messages", user, { continue_final_message: true }],
    ["messages", answer, { add_generation_prompt: "no" }],
  ])("a request that contradicts itself is refused: %s %j %j", async (name, last, more) => {
    const { path, body } = APIS[name]
    const response = await server.post(path, body([user, last], more))
    expect(response.status).toBe(400)
    const { error } = (await response.json()) as { error: { message: string } }
    expect(error.message).toContain(Object.keys(more)[0] ?? "")
  })
})
