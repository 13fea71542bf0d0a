import { afterAll, expect, test } from "bun:test"
import type OpenAI from "openai"
import { listenWithClient, model } from "../../testing/openai-client.ts"

const { server, client } = listenWithClient()
afterAll(() => server.stop())

test(
  "responses: a stream of typed events, reasoning as summary, and the whole object with the same " +
    "output",
  async () => {
    const stream = client.responses.stream({ model, input: "hi", reasoning: { summary: "auto" } })
    const types: string[] = []
    for await (const event of stream) types.push(event.type)
    const final = await stream.finalResponse()
    expect(final.output_text).toBe("The answer is 7.")
    expect(types.slice(0, 2)).toEqual(["response.created", "response.in_progress"])
    expect(types.at(-1)).toBe("response.completed")
    expect(types.indexOf("response.reasoning_summary_text.done")).toBeLessThan(
      types.indexOf("response.output_text.delta"),
    )
    const whole = await client.responses.create({
      model,
      input: "hi",
      reasoning: { summary: "auto" },
    })
    const plain = (output: typeof whole.output) =>
      output.map((item) => ({
        type: item.type,
        text: JSON.stringify(
          "content" in item
            ? item.content?.map((part) => ("text" in part ? part.text : ""))
            : "summary" in item
              ? item.summary
              : null,
        ),
      }))
    expect(plain(whole.output)).toEqual(plain(final.output))
    expect(whole.usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(0)
  },
)

test(
  "responses: function calls go round; a namespace is shown again split; sealed reasoning is " +
    "accepted back",
  async () => {
    const tools = [{ type: "function" as const, name: "weather", parameters: {}, strict: false }]
    const first = await client.responses.create({
      model,
      input: "weather?",
      tools,
      include: ["reasoning.encrypted_content"],
    })
    const calls = first.output.filter((item) => item.type === "function_call")
    expect(calls.map((call) => call.name)).toEqual(["weather", "weather"])
    const outputs = calls.map((call) => ({
      type: "function_call_output" as const,
      call_id: call.call_id,
      output: "sunny",
    }))
    const second = await client.responses.create({
      model,
      tools,
      input: [
        { role: "user", content: "weather?" },
        ...(first.output as OpenAI.Responses.ResponseInputItem[]),
        ...outputs,
      ],
    })
    expect(second.output_text).toBe("It is sunny in Zürich ☀.")
    expect(
      server.state
        .require()
        .chat.tokenizer.decode(server.engine.requests.at(-1)?.promptTokens ?? []),
    ).toContain("I should look.</think>")
    const orphan = client.responses.create({
      model,
      input: [{ type: "function_call_output", call_id: "call_unknown", output: "x" }],
    })
    expect(await orphan.catch((error: unknown) => error)).toMatchObject({
      status: 400,
      param: "input[0].call_id",
    })
    const replay = client.responses.create({ model, input: "a", previous_response_id: "resp_1" })
    expect(await replay.catch((error: unknown) => (error as Error).message)).toContain(
      "send the whole conversation as `input`",
    )
  },
)
