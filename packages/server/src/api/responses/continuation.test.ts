// Conversations that go on by the id of their last response, as the openai client does it.
import { afterEach, expect, test } from "bun:test"
import type OpenAI from "openai"
import {
  endAll,
  failureOf,
  lastPrompt,
  model,
  serve,
  WEATHER,
} from "../../testing/stored-responses.ts"

afterEach(endAll)

/** Tokens after which an answer to "weather?" is within the arguments of its call. */
const CUT_IN_CALL = 110

const INSTRUCTIONS = "You help whoever asks. ".repeat(40)

/** The share of an earlier conversation, prompt and answer, that was not read again. */
function reuse(first: OpenAI.Responses.Response, next: OpenAI.Responses.Response): number {
  const { usage } = first
  const cached = next.usage?.input_tokens_details.cached_tokens ?? 0
  return cached / ((usage?.input_tokens ?? Number.NaN) + (usage?.output_tokens ?? 0))
}

test("a conversation goes on twice by its last response alone, whole and streamed", async () => {
  const served = serve()
  const { client } = served
  const common = { model, instructions: INSTRUCTIONS }
  const first = await client.responses.create({ ...common, input: "one?" })
  expect(first).toMatchObject({ store: true, previous_response_id: null })
  const second = await client.responses.create({
    ...common,
    input: "two?",
    previous_response_id: first.id,
  })
  expect(second.previous_response_id).toBe(first.id)
  expect(reuse(first, second)).toBeGreaterThan(0.95)
  const stream = client.responses.stream({
    ...common,
    input: [{ role: "user", content: "three?" }],
    previous_response_id: second.id,
  })
  const third = await stream.finalResponse()
  expect(reuse(second, third)).toBeGreaterThan(0.95)
  const fourth = await client.responses.create({
    ...common,
    input: "four?",
    previous_response_id: third.id,
    store: false,
  })
  expect(fourth).toMatchObject({ store: false })
  expect(reuse(third, fourth)).toBeGreaterThan(0.95)
  const prompt = lastPrompt(served)
  let at = 0
  for (const text of ["one?", "The answer is 7.", "two?", "answer is 7.", "three?", "four?"]) {
    const found = prompt.indexOf(text, at)
    expect([text, found]).not.toEqual([text, -1])
    at = found
  }
})

test("the prompt is that of the client that sends everything itself", async () => {
  const served = serve()
  const { client } = served
  const include = ["reasoning.encrypted_content" as const]
  const first = await client.responses.create({ model, input: "weather?", tools: WEATHER, include })
  const result = {
    type: "function_call_output" as const,
    call_id: first.output.find((item) => item.type === "function_call")?.call_id ?? "",
    output: "sunny",
  }
  const second = await client.responses.create({
    model,
    tools: WEATHER,
    input: [result],
    previous_response_id: first.id,
  })
  expect(second.output_text).toBe("It is sunny.")
  expect(reuse(first, second)).toBeGreaterThan(0.95)
  const continued = lastPrompt(served)
  expect(continued).toContain("I should look.</think>Let me see.")
  await client.responses.create({
    model,
    tools: WEATHER,
    input: [
      { role: "user", content: "weather?" },
      ...(first.output as OpenAI.Responses.ResponseInputItem[]),
      result,
    ],
  })
  expect(lastPrompt(served)).toBe(continued)
})

test("reasoning that the client was not shown is part of the continued conversation", async () => {
  const served = serve()
  const { client } = served
  const first = await client.responses.create({ model, input: "weather?", tools: WEATHER })
  expect(first.output.map(({ type }) => type)).toEqual(["message", "function_call"])
  const call = first.output.find((item) => item.type === "function_call")
  const output = {
    type: "function_call_output" as const,
    call_id: call?.call_id ?? "",
    output: "x",
  }
  await client.responses.create({
    model,
    tools: WEATHER,
    input: [output],
    previous_response_id: first.id,
  })
  expect(lastPrompt(served)).toContain("I should look.</think>")
  expect((await client.responses.retrieve(first.id)).output).toEqual(first.output)
})

test("instructions and tools are not carried over", async () => {
  const served = serve()
  const { client } = served
  const first = await client.responses.create({
    model,
    input: "one?",
    instructions: "Be brief.",
    tools: WEATHER,
  })
  await client.responses.create({
    model,
    input: "two?",
    instructions: "Be kind.",
    previous_response_id: first.id,
  })
  const prompt = lastPrompt(served)
  expect(prompt).toContain("Be kind.")
  expect(prompt).not.toContain("Be brief.")
  expect(prompt).not.toContain("weather")
})

test("an item is named by its id in place of being sent again", async () => {
  const served = serve()
  const { client } = served
  const first = await client.responses.create({ model, input: "one?" })
  const reference = (id: string) => ({ type: "item_reference" as const, id })
  const input = [
    { role: "user" as const, content: "one?" },
    reference(first.output[0]?.id ?? ""),
    { role: "user" as const, content: "two?" },
  ]
  await client.responses.create({ model, input })
  expect(lastPrompt(served)).toContain("The answer is 7.")
  const unknown = client.responses.create({ model, input: [reference("msg_x")] })
  expect(await failureOf(unknown)).toMatchObject({ status: 404, param: "input[0].id" })
})

test("an answer that a limit cut is stored as it ended, its reasoning too", async () => {
  const served = serve()
  const { client } = served
  const common = { model, tools: WEATHER }
  const cut = await client.responses.create({ ...common, input: "hi", max_output_tokens: 7 })
  expect(cut.status).toBe("incomplete")
  expect((await client.responses.retrieve(cut.id)).status).toBe("incomplete")
  await client.responses.create({ ...common, input: "Go on.", previous_response_id: cut.id })
  expect(lastPrompt(served)).toMatch(/<think>Consider<\/think>.*Go on\./s)
})

test("a call that a limit cut is shown, and left out where the conversation goes on", async () => {
  const served = serve()
  const { client } = served
  const common = { model, tools: WEATHER }
  const stream = client.responses.stream({
    ...common,
    input: "weather?",
    max_output_tokens: CUT_IN_CALL,
  })
  const cut = await stream.finalResponse()
  const { output } = await client.responses.retrieve(cut.id)
  expect(output.at(-1)).toMatchObject({ type: "function_call", status: "incomplete" })
  await client.responses.create({ ...common, input: "Go on.", previous_response_id: cut.id })
  expect(lastPrompt(served)).toMatch(/Let me see\.<｜end▁of▁sentence｜><｜User｜>Go on\./)
})
