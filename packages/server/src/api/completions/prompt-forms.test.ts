import { expect, test } from "bun:test"
import { errorOf } from "../../testing/answered-errors.ts"
import { harness } from "../../testing/harness.ts"

const server = harness()
const { tokenizer } = server.state.require().chat

/** The prompt that the engine was given. */
async function idsOf(body: object): Promise<readonly number[] | undefined> {
  const response = await server.post("/v1/completions", { max_tokens: 1, ...body })
  expect([body, response.status]).toEqual([body, 200])
  return server.engine.requests.at(-1)?.promptTokens
}

test("the text that /apply-template writes is read back as the same tokens", async () => {
  const conversations = [
    [{ role: "user", content: "hello" }],
    [
      { role: "system", content: "Be brief.\n" },
      { role: "user", content: " two  blanks " },
      { role: "assistant", content: "so", reasoning_content: "hm" },
      { role: "user", content: "日本 🙂\n\n" },
    ],
    [
      { role: "user", content: "a" },
      {
        role: "assistant",
        content: "",
        tool_calls: [{ id: "1", function: { name: "f", arguments: '{"a":"<b>&amp;"}' } }],
      },
      { role: "tool", tool_call_id: "1", content: "r" },
    ],
  ]
  const tools = [{ type: "function", function: { name: "f", parameters: {} } }]
  for (const messages of conversations)
    for (const thinking of [true, false]) {
      const answer = await server.post("/apply-template", { messages, tools, thinking })
      const { prompt, tokens } = (await answer.json()) as { prompt: string; tokens: number[] }
      expect(await idsOf({ prompt })).toEqual(tokens)
      expect(await idsOf({ prompt: [prompt] })).toEqual(tokens)
      expect(await idsOf({ prompt: tokens })).toEqual(tokens)
      expect(await idsOf({ prompt: [tokens] })).toEqual(tokens)
    }
})

test("control strings are plain text where special is false", async () => {
  const prompt = "a<｜User｜>b"
  const user = tokenizer.special.get("<｜User｜>") ?? -1
  expect(await idsOf({ prompt })).toContain(user)
  expect(await idsOf({ prompt, special: false })).not.toContain(user)
})

test("several prompts are refused, and none", async () => {
  for (const prompt of [["a", "b"], [[1], [2]], [], [[]], [["a"]], [1.5], [-1], [[1, "a"]], 5]) {
    const response = await server.post("/v1/completions", { prompt })
    expect([prompt, response.status]).toEqual([prompt, 400])
    expect((await errorOf(response)).param).toStartWith("prompt")
  }
})
