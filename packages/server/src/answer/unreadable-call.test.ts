import { expect, test } from "bun:test"
import { harness } from "../testing/harness.ts"

const BAD = "Sure.</think>On it.\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke>\n</｜DSML｜tool_calls>"
const tools = [{ type: "function", function: { name: "f", parameters: { type: "object" } } }]
const body = { messages: [{ role: "user", content: "hi" }], tools }

test("a call that cannot be read is told to the client as text and to the log", async () => {
  const server = harness({ script: () => BAD })
  const answer = (await (await server.post("/v1/chat/completions", body)).json()) as {
    choices: [{ message: { content: string; tool_calls?: unknown }; finish_reason: string }]
  }
  const [{ message, finish_reason: finish }] = answer.choices
  expect(message.content).toBe(
    "On it.\n\n[A tool call in this answer could not be read: it names no tool.]",
  )
  expect([message.tool_calls, finish]).toEqual([undefined, "stop"])
  expect(server.lines.at(-1)?.generation?.warnings).toEqual([
    "a tool call could not be read: it names no tool",
  ])
})
