import { describe, expect, test } from "bun:test"
import { refusal } from "../testing/refusal.ts"
import { anthropicRequest } from "./anthropic-messages.ts"
import { chatRequest } from "./openai-chat.ts"
import { responsesRequest } from "./openai-responses.ts"

const text = { type: "text", text: "see" }
const chat = (part: object, role = "user") =>
  chatRequest({ messages: [{ role, content: [text, part] }] })
const messages = (part: object, role = "user") =>
  anthropicRequest({ messages: [{ role, content: [text, part] }] })
const responses = (part: object, role = "user") =>
  responsesRequest({ input: [{ role, content: [text, part] }] })

const IMAGE = "image input is not supported by this model"
const AUDIO = "audio input is not supported by this model"
const VIDEO = "video input is not supported by this model"

describe("a part that is no text is refused by a sentence of its own, at its place", () => {
  test.each([
    ["image", IMAGE],
    ["image_url", IMAGE],
    ["input_image", IMAGE],
    ["image_file", IMAGE],
    ["audio", AUDIO],
    ["input_audio", AUDIO],
    ["audio_url", AUDIO],
    ["video", VIDEO],
    ["video_url", VIDEO],
    ["file", "file input is not supported by this model; send the text of the file"],
    ["input_file", "file input is not supported by this model; send the text of the file"],
    ["document", "document input is not supported by this model; send the text of the document"],
    ["something_new", '"something_new" is not a kind of content that can be read here'],
    ["constructor", '"constructor" is not a kind of content that can be read here'],
  ])("%s, in every API", (type, sentence) => {
    const [inChat, inMessages, inResponses] = [chat, messages, responses].map((read) =>
      refusal(() => read({ type })),
    )
    for (const each of [inChat, inMessages]) {
      expect(each?.param).toStartWith("messages[0].content[1]")
      expect(each?.message).toContain(sentence)
    }
    expect(inResponses?.param).toStartWith("input[0].content[1]")
    expect(inResponses?.message).toContain(sentence)
  })

  test("reasoning, calls and results name the place where they belong", () => {
    const said = (read: () => unknown) => refusal(read).message
    const thinking = { type: "thinking", thinking: "hm" }
    expect(said(() => chat(thinking, "user"))).toContain("reasoning_content")
    expect(said(() => messages(thinking))).toContain("belong to assistant messages")
    expect(said(() => responses(thinking))).toContain('an item of the type "reasoning"')
    expect(said(() => chat({ type: "tool_use" }))).toContain("tool_calls")
    expect(said(() => messages({ type: "tool_use" }))).toContain("belong to assistant messages")
    expect(said(() => messages({ type: "tool_result" }, "assistant"))).toContain("user messages")
    expect(said(() => chat({ type: "tool_result" }))).toContain('the role "tool"')
    expect(said(() => responses({ type: "tool_result" }))).toContain("function_call_output")
  })
})

describe("media inside a tool's result is refused, not dropped", () => {
  const call = { type: "function_call", call_id: "c", name: "f", arguments: "{}" }
  const output = (value: unknown) =>
    responsesRequest({
      input: [call, { type: "function_call_output", call_id: "c", output: value }],
    })
  const result = (content: unknown) =>
    anthropicRequest({
      messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "c", content }] }],
    })
  const tool = (content: unknown) =>
    chatRequest({ messages: [{ role: "tool", tool_call_id: "c", content }] })

  test.each(["image", "document", "input_audio", "video"])("%s in Anthropic's", (type) => {
    const { param, message } = refusal(() => result([text, { type, source: {} }]))
    expect(param).toBe("messages[0].content[0].content[1]")
    expect(message).toContain("input is not supported by this model")
  })

  test.each(["input_image", "input_file", "input_audio", "computer_screenshot"])(
    "%s in Responses, alone, beside text, and as an object",
    (type) => {
      const part = { type, image_url: "data:x" }
      expect(refusal(() => output([part])).param).toBe("input[1].output[0]")
      expect(refusal(() => output([{ type: "input_text", text: "a" }, part])).param).toBe(
        "input[1].output[1]",
      )
      expect(refusal(() => output(part)).message).toContain("input is not supported")
    },
  )

  test.each(["image_url", "input_audio", "file"])("%s in chat completions", (type) => {
    expect(refusal(() => tool([text, { type }])).param).toBe("messages[0].content[1]")
  })

  test("other JSON is an output as it stands", () => {
    const of = (value: unknown) => output(value).conversation.messages.at(-1)?.content
    expect(of([{ a: 1 }])).toBe('[{"a":1}]')
    expect(of({ b: [] })).toBe('{"b":[]}')
    expect(
      of([
        { type: "input_text", text: "a" },
        { type: "output_text", text: "b" },
      ]),
    ).toBe("a\n\nb")
  })
})
