// A limit of 0 tokens reads the prompt and answers nothing: the next request finds it read.
import { expect, test } from "bun:test"
import { parseFrames } from "../testing/frames.ts"
import { harness, type Harness } from "../testing/harness.ts"

const TEXT = "Much to read. ".repeat(50)
const messages = [{ role: "user", content: TEXT }]

interface Api {
  readonly path: string
  readonly body: object
  /** The field that limits the answer. */
  readonly limit: string
  /** The parts of a whole answer that tell that it is empty. */
  readonly empty: object
  readonly usage: (json: never) => readonly [input: number, cached: number, output: number]
}

interface OpenAiUsage {
  usage: {
    prompt_tokens: number
    completion_tokens: number
    prompt_tokens_details: { cached_tokens: number }
  }
}
const openai = ({ usage }: OpenAiUsage) =>
  [usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens] as const

interface AnthropicUsage {
  usage: { input_tokens: number; cache_read_input_tokens: number; output_tokens: number }
}
interface ResponsesUsage {
  usage: {
    input_tokens: number
    input_tokens_details: { cached_tokens: number }
    output_tokens: number
  }
}

const APIS: readonly Api[] = [
  ...["max_tokens", "max_completion_tokens"].map((limit) => ({
    path: "/v1/chat/completions",
    body: { messages },
    limit,
    empty: { choices: [{ finish_reason: "length", message: { content: "" } }] },
    usage: openai,
  })),
  {
    path: "/v1/completions",
    body: { prompt: TEXT },
    limit: "max_tokens",
    empty: { choices: [{ finish_reason: "length", text: "" }] },
    usage: openai,
  },
  {
    path: "/v1/messages",
    body: { messages },
    limit: "max_tokens",
    empty: { content: [{ type: "text", text: "" }], stop_reason: "max_tokens" },
    usage: ({ usage }: AnthropicUsage) => [
      usage.input_tokens + usage.cache_read_input_tokens,
      usage.cache_read_input_tokens,
      usage.output_tokens,
    ],
  },
  {
    path: "/v1/responses",
    body: { input: TEXT },
    limit: "max_output_tokens",
    empty: { output: [], status: "incomplete" },
    usage: ({ usage }: ResponsesUsage) => [
      usage.input_tokens,
      usage.input_tokens_details.cached_tokens,
      usage.output_tokens,
    ],
  },
]

async function ask(server: Harness, { path, body }: Api, more: object): Promise<object> {
  const answer = await server.post(path, { ...body, ...more })
  expect(answer.status).toBe(200)
  return (await answer.json()) as object
}

test.each(APIS.map((api) => [`${api.path} ${api.limit}`, api] as const))(
  "%s: 0 reads the prompt, and the next request has it",
  async (_, api) => {
    const server = harness({ contextTokens: 4096 })
    const warmed = await ask(server, api, { [api.limit]: 0 })
    expect(warmed).toMatchObject(api.empty)
    const [input, cached, output] = api.usage(warmed as never)
    expect([input > 500, cached, output]).toEqual([true, 0, 0])
    const next = await ask(server, api, { [api.limit]: 3 })
    const [again, found, written] = api.usage(next as never)
    expect([again, written]).toEqual([input, 3])
    expect(found).toBeGreaterThanOrEqual(input - 1)
  },
)

test.each(APIS.map((api) => [`${api.path} ${api.limit}`, api] as const))(
  "%s: 0 as a stream opens and closes without text",
  async (_, api) => {
    const server = harness({ contextTokens: 4096 })
    const body = { ...api.body, [api.limit]: 0, stream: true }
    const frames = parseFrames(await (await server.post(api.path, body)).text())
    expect(frames.length).toBeGreaterThan(0)
    expect(frames.map(({ data }) => data).join("\n")).not.toContain("Hello")
    expect(server.engine.requests.map(({ maxTokens }) => maxTokens)).toEqual([0])
    expect(server.lines.at(-1)?.generation).toMatchObject({ finish: "length", completionTokens: 0 })
  },
)
