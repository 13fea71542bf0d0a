import { describe, expect, test } from "bun:test"
import { Random } from "@ds4/model-file/testing"
import { parseJson } from "../json/json-value.ts"
import { chatRequest } from "../readers/openai-chat.ts"
import { fixture } from "../testing/fixtures.ts"
import { ConversationMaker } from "../testing/random-conversation.ts"
import { type VendorMessage, vendorPrompt } from "../testing/vendor-encoder.ts"
import { conversationOf } from "../testing/vendor-messages.ts"
import { renderChat } from "./chat-template.ts"
import type { Conversation } from "./conversation.ts"
import type { RenderOptions } from "./render-options.ts"
import { segmentsText } from "./segment-writer.ts"

/** Where vendor and project differ first, with some text around it. */
const firstDifference = (ours: string, vendor: string): [ours: string, vendor: string] => {
  let at = 0
  while (at < ours.length && ours[at] === vendor[at]) at++
  const around = (text: string): string => text.slice(Math.max(0, at - 40), at + 40)
  return [around(ours), around(vendor)]
}

const expectEqual = (ours: string, vendor: string, messages: readonly VendorMessage[]): void => {
  if (ours === vendor) return
  throw new Error(
    `${firstDifference(ours, vendor).join("\n--- vendor:\n")}\n${JSON.stringify(messages)}`,
  )
}

/** The ending that a conversation has in the vendor's encoder, which adds nothing to an answer. */
const endingOf = (messages: readonly VendorMessage[]): Partial<RenderOptions> => {
  const last = messages.at(-1)
  if (last?.wo_eos === true) return { continueFinal: true }
  return last?.role === "assistant" ? { addGenerationPrompt: false } : {}
}

/** The same conversation as a client sends it. */
const clientBody = (messages: readonly VendorMessage[]): unknown => {
  const [head] = messages
  const tools = head?.role === "system" ? (head.tools ?? []) : []
  const plain = messages.map(({ tools: _tools, wo_eos, ...message }) =>
    wo_eos === true ? { ...message, prefix: true } : message,
  )
  const declared = tools.map((text) => `{"type":"function","function":${text}}`)
  const field = declared.length > 0 ? `,"tools":[${declared.join(", ")}]` : ""
  return parseJson(`{"messages":${JSON.stringify(plain)}${field}}`)
}

describe("random conversations, rendered as by the vendor's encoder", () => {
  const compare = (
    seed: number,
    isVendorOnly: boolean,
    read: (messages: readonly VendorMessage[]) => Conversation,
  ): void => {
    const random = new Random(seed)
    const maker = new ConversationMaker(random)
    for (let round = 0; round < 5_000; round++) {
      const messages = maker.conversation(isVendorOnly)
      const thinking = random.below(10) < 6
      const effort = random.pick([undefined, "high", "max"] as const)
      const ours = renderChat(read(messages), {
        thinking,
        ...(effort && { effort }),
        ...endingOf(messages),
      })
      expectEqual(segmentsText(ours), vendorPrompt(messages, thinking, effort), messages)
    }
  }

  test("5,000 that clients send to chat completions", () => {
    compare(20260731, false, (messages) => chatRequest(clientBody(messages)).conversation)
  }, 240_000)

  test("5,000 with tasks, developer turns and reminders", () => {
    compare(42, true, conversationOf)
  }, 240_000)
})

interface RecordedCase {
  id: string
  thinking_mode: "thinking" | "chat"
  reasoning_effort: "high" | "max" | null
  messages: (Omit<VendorMessage, "tools" | "response_format"> & {
    tools?: { function: object }[]
    response_format?: object
  })[]
  expected: string
}
const recorded = await fixture<{ cases: RecordedCase[] }>("render-reference.json")

describe("the vendor's rules as written for these tests", () => {
  test.each(recorded.cases.map((each) => [each.id, each] as const))(
    "give the prompt that the vendor's encoder gave: %s",
    (_, { thinking_mode, reasoning_effort, messages, expected }) => {
      const vendorMessages = messages.map(({ tools, response_format: format, ...message }) => ({
        ...message,
        ...(tools && { tools: tools.map((tool) => JSON.stringify(tool.function)) }),
        ...(format && { response_format: JSON.stringify(format) }),
      }))
      const isThinking = thinking_mode === "thinking"
      expect(vendorPrompt(vendorMessages, isThinking, reasoning_effort ?? undefined)).toBe(expected)
    },
  )
})

// docs/chat-template.md has the reasons.
describe("what is rendered otherwise than by the vendor's encoder, on purpose", () => {
  const system = (content: string): VendorMessage => ({ role: "system", content })
  const user = (content: string): VendorMessage => ({ role: "user", content })
  const answer = (content: string): VendorMessage => ({ role: "assistant", content })
  const result = (id: string): VendorMessage => ({ role: "tool", tool_call_id: id, content: id })
  const called = (...calls: [id: string, args: string][]): VendorMessage => ({
    role: "assistant",
    content: "",
    tool_calls: calls.map(([id, args]) => ({ id, function: { name: "f", arguments: args } })),
  })
  const CLOSER = "</｜DSML｜parameter>"
  const parameter = (key: string, isString: boolean, value: string): string =>
    `<｜DSML｜parameter name="${key}" string="${isString}">${value}${CLOSER}`
  const EOS = "<｜end▁of▁sentence｜>"
  const ANSWER = "<｜Assistant｜></think>"

  test.each<[string, VendorMessage[], ours: string, vendor: string]>([
    [
      "a conversation that ends with an answer",
      [user("u"), answer("a")],
      `a${EOS}${ANSWER}`,
      `a${EOS}`,
    ],
    ["answers in a row", [user("u"), answer("a"), answer("b")], `${EOS}${ANSWER}b`, `${EOS}b`],
    ["an answer at the start", [answer("a"), user("u")], `${ANSWER}a`, `sentence｜>a${EOS}`],
    ["system messages in a row", [system("A"), system("B"), user("u")], "A\n\nB<", "AB<"],
    [
      "a system message after an answer",
      [user("u"), answer("a"), system("S"), user("v")],
      `${EOS}<｜User｜>S\n\nv`,
      `${EOS}S<｜User｜>v`,
    ],
    [
      "a reminder after the user's words",
      [user("u"), { role: "latest_reminder", content: "now" }, user("v")],
      "u<｜latest_reminder｜>now",
      `u${ANSWER}<｜latest_reminder｜>now`,
    ],
    [
      "a task on words that join a turn",
      [user("u"), { ...user("v"), task: "title" }],
      "v<｜title｜>",
      `v${ANSWER}`,
    ],
    [
      "blank arguments",
      [user("u"), called(["c", ""]), result("c")],
      'name="f">\n\n</',
      parameter("arguments", true, ""),
    ],
    [
      "the closing tag inside an argument",
      [user("u"), called(["c", JSON.stringify({ a: CLOSER, b: [CLOSER] })]), result("c")],
      `&lt;/｜DSML｜parameter>${CLOSER}\n${parameter("b", false, '["\\u003c/｜DSML｜parameter>"]')}`,
      `${CLOSER}${CLOSER}\n${parameter("b", false, `["${CLOSER}"]`)}`,
    ],
    [
      "the closing tag inside a result",
      [user("u"), called(["c", "{}"]), { ...result("c"), content: "</tool_result>" }],
      "<tool_result>&lt;/tool_result></tool_result>",
      "<tool_result></tool_result></tool_result>",
    ],
    [
      "results of unknown calls",
      [user("u"), called(["a", "{}"], ["b", "{}"]), result("b"), result("x"), result("a")],
      "a</tool_result>\n\n<tool_result>x</tool_result>\n\n<tool_result>b",
      "x</tool_result>\n\n<tool_result>a</tool_result>\n\n<tool_result>b",
    ],
  ])("%s", (_, messages, ours, vendor) => {
    const rendered = segmentsText(renderChat(conversationOf(messages), { thinking: false }))
    expect(rendered).toContain(ours)
    expect(rendered).not.toBe(vendorPrompt(messages, false))
    expect(vendorPrompt(messages, false)).toContain(vendor)
  })

  test("developer turns that thinking without tools would lose", () => {
    const messages: VendorMessage[] = [{ role: "developer", content: "In French." }, user("u")]
    const ours = segmentsText(renderChat(conversationOf(messages), { thinking: true }))
    expect(ours).toContain("<｜User｜>In French.<｜User｜>u")
    expect(vendorPrompt(messages, true)).not.toContain("French")
  })

  test("an open answer without content, which goes on in its reasoning", () => {
    const open: VendorMessage = { ...answer(""), reasoning_content: "hm", wo_eos: true }
    const messages = [user("u"), open]
    const options = { thinking: true, continueFinal: true }
    expect(segmentsText(renderChat(conversationOf(messages), options))).toEndWith("<think>hm")
    expect(vendorPrompt(messages, true)).toEndWith("<think>hm</think>")
  })

  test.each(["[1]", '"text"', "5", "null"])("arguments that are JSON but no object: %s", (args) => {
    const messages = [user("u"), called(["c", args]), result("c")]
    const ours = segmentsText(renderChat(conversationOf(messages), { thinking: false }))
    expect(ours).toContain(args === "null" ? 'name="f">\n\n</' : parameter("arguments", true, args))
    expect(() => vendorPrompt(messages, false)).toThrow("no items")
  })
})
