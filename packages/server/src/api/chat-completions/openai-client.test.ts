import { afterAll, describe, expect, test } from "bun:test"
import OpenAI from "openai"
import { until } from "../../testing/harness.ts"
import { listenWithClient, model, user } from "../../testing/openai-client.ts"

const { server, client } = listenWithClient()
afterAll(() => server.stop())

const TOOLS = [
  {
    type: "function" as const,
    function: {
      name: "weather",
      description: "Weather of a city",
      parameters: {
        type: "object",
        properties: { city: { type: "string" }, days: { type: "number" } },
      },
    },
  },
]

interface WithReasoning {
  reasoning_content?: string
}

interface Turn {
  content: string
  reasoning: string
  calls: { id: string; name: string; arguments: string }[]
  finish: string | undefined
}

/** Asks for the weather, with tools, and gathers the stream. */
async function streamTurn(): Promise<Turn> {
  const stream = await client.chat.completions.create({
    model,
    messages: user("weather?"),
    tools: TOOLS,
    stream: true,
  })
  const turn: Turn = { content: "", reasoning: "", calls: [], finish: undefined }
  for await (const chunk of stream) {
    const choice = chunk.choices[0]
    turn.content += choice?.delta.content ?? ""
    turn.reasoning += (choice?.delta as WithReasoning | undefined)?.reasoning_content ?? ""
    turn.finish = choice?.finish_reason ?? turn.finish
    for (const delta of choice?.delta.tool_calls ?? []) {
      const call = (turn.calls[delta.index] ??= { id: "", name: "", arguments: "" })
      call.id += delta.id ?? ""
      call.name += delta.function?.name ?? ""
      call.arguments += delta.function?.arguments ?? ""
    }
  }
  return turn
}

/** Sends the turn back with a result for each of its calls. */
function sendResults({ content, reasoning, calls }: Turn) {
  const assistant = {
    role: "assistant" as const,
    content,
    reasoning_content: reasoning,
    tool_calls: calls.map(({ id, ...call }) => ({
      id,
      type: "function" as const,
      function: call,
    })),
  }
  const results = calls.map(({ id }) => ({
    role: "tool" as const,
    tool_call_id: id,
    content: "sunny",
  }))
  return client.chat.completions.create({
    model,
    tools: TOOLS,
    messages: [...user("weather?"), assistant, ...results],
  })
}

describe("chat completions with the openai client", () => {
  test("a whole answer has text, reasoning, usage and timings", async () => {
    const answer = await client.chat.completions.create({ model, messages: user("hi") })
    expect(answer.choices[0]?.message.content).toBe("The answer is 7.")
    expect((answer.choices[0]?.message as WithReasoning | undefined)?.reasoning_content).toBe(
      "Consider it.",
    )
    expect(answer.choices[0]?.finish_reason).toBe("stop")
    const usage = answer.usage
    expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0))
    expect(usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(3)
    expect(answer).toHaveProperty("timings.predicted_n", usage?.completion_tokens)
  })

  test("a stream holds the whole answer; its usage comes when asked for", async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: user("hi"),
      stream: true,
      stream_options: { include_usage: true },
    })
    let content = ""
    let reasoning = ""
    let totalTokens = 0
    for await (const chunk of stream) {
      content += chunk.choices[0]?.delta.content ?? ""
      reasoning += (chunk.choices[0]?.delta as WithReasoning | undefined)?.reasoning_content ?? ""
      totalTokens = chunk.usage?.total_tokens ?? totalTokens
    }
    expect({ content, reasoning }).toEqual({
      content: "The answer is 7.",
      reasoning: "Consider it.",
    })
    expect(totalTokens).toBeGreaterThan(10)
  })

  test("max_tokens ends with length, a stop string is cut, a name ends thinking", async () => {
    const cut = await client.chat.completions.create({
      model: "deepseek-chat",
      messages: user("hi"),
      max_completion_tokens: 3,
    })
    expect([cut.choices[0]?.finish_reason, cut.usage?.completion_tokens, cut.model]).toEqual([
      "length",
      3,
      "deepseek-chat",
    ])
    const stopped = await client.chat.completions.create({
      model,
      messages: user("hi"),
      stop: ["answer is", "zzz"],
    })
    expect([stopped.choices[0]?.message.content, stopped.choices[0]?.finish_reason]).toEqual([
      "The ",
      "stop",
    ])
  })

  test("logprobs have alternatives, for content and reasoning apart, streamed or not", async () => {
    const whole = await client.chat.completions.create({
      model,
      messages: user("hi"),
      logprobs: true,
      top_logprobs: 2,
    })
    const entries = whole.choices[0]?.logprobs?.content ?? []
    expect(entries.map((entry) => entry.token).join("")).toBe("The answer is 7.")
    expect(entries[0]?.top_logprobs).toHaveLength(2)
    const stream = await client.chat.completions.create({
      model,
      messages: user("hi"),
      logprobs: true,
      stream: true,
    })
    let streamed = ""
    for await (const chunk of stream)
      streamed += chunk.choices[0]?.logprobs?.content?.map((entry) => entry.token).join("") ?? ""
    expect(streamed).toBe("The answer is 7.")
  })

  test("a tool loop of two turns: streamed calls arrive whole, and results are read", async () => {
    const turn = await streamTurn()
    expect([turn.content, turn.finish]).toEqual(["Let me see.", "tool_calls"])
    expect(turn.calls.map((call) => JSON.parse(call.arguments) as unknown)).toEqual([
      { city: 'Zü"rich\n☀', days: 3 },
      { city: "Bern" },
    ])
    for (const call of turn.calls) expect(call.id).toMatch(/^call_[0-9a-f]{32}$/)
    const second = await sendResults(turn)
    expect(second.choices[0]?.message.content).toBe("It is sunny in Zürich ☀.")
  })

  test("the second prompt begins with the first, sampled calls included", async () => {
    const turn = await streamTurn()
    const before = server.engine.requests.at(-1)?.promptTokens ?? []
    const second = await sendResults(turn)
    const prompt = server.engine.requests.at(-1)?.promptTokens ?? []
    expect(prompt.slice(0, before.length)).toEqual([...before])
    // The sampled call block stands in the second prompt token for token.
    const cachedTokens = second.usage?.prompt_tokens_details?.cached_tokens ?? 0
    expect(cachedTokens).toBeGreaterThan(before.length + 40)
  })

  test("parallel_tool_calls: false allows one call; tool_choice none offers none", async () => {
    const one = await client.chat.completions.create({
      model,
      messages: user("weather?"),
      tools: TOOLS,
      parallel_tool_calls: false,
    })
    expect([one.choices[0]?.message.tool_calls?.length, one.choices[0]?.finish_reason]).toEqual([
      1,
      "tool_calls",
    ])
    const none = await client.chat.completions.create({
      model,
      messages: user("hi"),
      tools: TOOLS,
      tool_choice: "none",
    })
    expect(none.choices[0]?.finish_reason).toBe("stop")
    expect(
      server.state
        .require()
        .chat.tokenizer.decode(server.engine.requests.at(-1)?.promptTokens ?? []),
    ).not.toContain("weather")
  })

  test(
    "errors are typed: 400 with the field, 404, and an engine failure before and after the " +
      "stream began",
    async () => {
      const bad = client.chat.completions.create({ model, messages: user("hi"), n: 3 })
      expect(await bad.catch((error: unknown) => error)).toBeInstanceOf(OpenAI.BadRequestError)
      expect(await bad.catch((error: unknown) => error)).toMatchObject({
        status: 400,
        param: "n",
        type: "invalid_request_error",
      })
      expect(await client.models.retrieve("other").catch((error: unknown) => error)).toBeInstanceOf(
        OpenAI.NotFoundError,
      )
      const failed = client.chat.completions.create({ model, messages: user("fail") })
      expect(await failed.catch((error: unknown) => error)).toBeInstanceOf(
        OpenAI.InternalServerError,
      )
      const stream = await client.chat.completions.create({
        model,
        messages: user("fail"),
        stream: true,
      })
      let seen = 0
      const reading = (async () => {
        for await (const _ of stream) seen++
      })()
      const line = () => server.lines.at(-1)
      expect(await reading.catch((error: unknown) => error)).toMatchObject({
        message: `the server failed; its log says why under ${line()?.id}`,
      })
      expect(line()?.failure).toMatchObject({
        message: "the device is on fire",
        cause: { message: "the device is on fire" },
      })
      expect(seen).toBeGreaterThan(1)
    },
  )

  test("aborting the client's stream cancels the engine's work", async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: user("forever"),
      stream: true,
    })
    for await (const _ of stream) {
      stream.controller.abort()
      break
    }
    await until(() => server.registry.size === 0 && server.engine.stats().running === 0, 250)
    expect(server.engine.cancelled.at(-1)).toBe(server.engine.requests.at(-1))
  })
})
