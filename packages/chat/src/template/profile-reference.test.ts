import { describe, expect, test } from "bun:test"
import { renderChat } from "./chat-template.ts"
import type { Conversation, Message, ToolDeclaration } from "./conversation.ts"
import { EFFORT_TABLES, type Effort } from "./effort.ts"
import { segmentsText } from "./segment-writer.ts"
import { fixture } from "../testing/fixtures.ts"

// The recorded messages are the vendor's: tools and response format hang on a message, calls are in
// OpenAI form.
interface RecordedMessage {
  role: Message["role"]
  content: string
  reasoning_content?: string
  tools?: { function: { name: string } }[]
  response_format?: unknown
  tool_calls?: { id: string; function: { name: string; arguments: string } }[]
  tool_call_id?: string
  task?: "title" | "query"
}
interface RecordedCase {
  id: string
  thinking_mode: "thinking" | "chat"
  reasoning_effort: Effort | null
  messages: RecordedMessage[]
  expected: string
}

const declarations = (message: RecordedMessage): ToolDeclaration[] | undefined =>
  message.tools?.map((tool) => ({
    name: tool.function.name,
    definition: JSON.stringify(tool.function),
  }))

const toMessage = (message: RecordedMessage): Message => {
  const { role, content, task } = message
  const tools = declarations(message)
  if (role === "developer") return { role, content, ...(tools && { tools }) }
  if (role === "user") return { role, content, ...(task && { task }) }
  if (role === "tool") return { role, content, toolCallId: message.tool_call_id ?? "" }
  if (role !== "assistant") return { role, content }
  const toolCalls = message.tool_calls?.map((call) => ({ id: call.id, ...call.function }))
  return {
    role,
    content,
    reasoning: message.reasoning_content ?? "",
    ...(toolCalls && { toolCalls }),
    ...(task && { task }),
  }
}

const toConversation = (messages: RecordedMessage[]): Conversation => {
  const system = messages.find(({ role }) => role === "system")
  const tools = system && declarations(system)
  return {
    messages: messages.map(toMessage),
    ...(tools && { tools }),
    ...(system?.response_format !== undefined && {
      responseFormat: { schema: system.response_format },
    }),
  }
}

const recorded = await fixture<{ cases: RecordedCase[] }>("render-reference.json")

describe("profile reference, recorded from the vendor's encoder", () => {
  for (const { id, thinking_mode, reasoning_effort, messages, expected } of recorded.cases) {
    test(id, () => {
      const segments = renderChat(toConversation(messages), {
        thinking: thinking_mode === "thinking",
        ...(reasoning_effort && { effort: reasoning_effort }),
        // The vendor's encoder writes whole conversations too, and adds nothing after an answer.
        addGenerationPrompt: messages.at(-1)?.role !== "assistant",
      })
      expect(segmentsText(segments)).toBe(expected)
    })
  }
})

interface EffortFile {
  checkpoints: Record<"original" | "0731", Record<Effort, string>>
  default: Record<"original" | "0731", Effort>
  cases: {
    checkpoint: "original" | "0731"
    effort: Effort
    system: string
    user: string
    expected: string
  }[]
}
const efforts = await fixture<EffortFile>("effort-prefixes.json")

describe("effort prefixes", () => {
  for (const name of ["original", "0731"] as const) {
    test(`the table ${name} is the recorded one`, () => {
      expect(EFFORT_TABLES[name].prefixes).toEqual(efforts.checkpoints[name])
      expect(EFFORT_TABLES[name].defaultEffort).toBe(efforts.default[name])
    })
  }
  for (const { checkpoint, effort, system, user, expected } of efforts.cases) {
    test(`${checkpoint} ${effort}`, () => {
      const segments = renderChat(
        {
          messages: [
            { role: "system", content: system },
            { role: "user", content: user },
          ],
        },
        { thinking: true, effort, effortTable: EFFORT_TABLES[checkpoint] },
      )
      expect(segmentsText(segments)).toBe(expected)
    })
  }
})
