// A tool loop: the model calls a function, gets its result and answers with it.
// Usage: bun examples/tools.ts [MODEL]
import { type Message, open, type ToolCall, type ToolDeclaration } from "@ds4/chat"

const tools: ToolDeclaration[] = [
  {
    name: "get_weather",
    description: "Get the current weather for a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "City name." } },
      required: ["city"],
    },
  },
]

/** Runs one call; its result goes back to the model as text. */
function run(call: ToolCall): string {
  const { city } = JSON.parse(call.arguments) as { city: string }
  return JSON.stringify({ weather: city === "Oslo" ? "sunny" : "unknown" })
}

await using chat = await open(process.argv[2])
const messages: Message[] = [{ role: "user", content: "What is the weather in Oslo?" }]

for (let turn = 0; turn < 5; turn++) {
  const calls: ToolCall[] = []
  const request = { messages, tools, thinking: "off", sampling: { temperature: 0 } } as const
  for await (const event of chat.answer(request)) {
    if (event.type === "text") process.stdout.write(event.text)
    if (event.type === "tool-call-end") calls.push(event.call)
    if (event.type === "finish") messages.push(event.message)
  }
  if (calls.length === 0) break
  for (const call of calls) {
    const result = run(call)
    console.log(`${call.name}(${call.arguments}) -> ${result}`)
    messages.push({ role: "tool", content: result, toolCallId: call.id })
  }
}
console.log()
