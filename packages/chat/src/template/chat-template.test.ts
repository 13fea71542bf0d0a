import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { renderChat, startsInThinking } from "./chat-template.ts"
import type { AssistantMessage, Conversation, Message, ToolCall } from "./conversation.ts"
import { detectEffortTable, parseEffort } from "./effort.ts"
import type { RenderOptions } from "./render-options.ts"
import { orderToolResults } from "./result-order.ts"
import { segmentsText } from "./segment-writer.ts"
import { turnsOf } from "./turns.ts"
import type { Profile } from "./tools-block.ts"
import { OutputParser } from "../parser/output-parser.ts"
import { BOS, KNOWN_SPECIALS } from "@ds4/tokenizer/special-tokens"
import { loadTokenizer } from "@ds4/tokenizer"
import { Random } from "@ds4/model-file/testing"
import { smallDocument, withFiles } from "@ds4/tokenizer/testing"

const CHAT: RenderOptions = { thinking: false }
const THINKING: RenderOptions = { thinking: true }
const render = (
  messages: readonly Message[],
  options: RenderOptions = CHAT,
  more: Omit<Conversation, "messages"> = {},
): string => segmentsText(renderChat({ messages, ...more }, options)).slice(BOS.length)

const call = (id: string, args = "{}"): ToolCall => ({ id, name: "f", arguments: args })

describe("reference layout", () => {
  test(
    "system messages before the first answer share the head; later ones are parts of a " +
      "user turn",
    () => {
      const messages: Message[] = [
        { role: "system", content: "A" },
        { role: "user", content: "u" },
        { role: "system", content: "B" },
        { role: "assistant", content: "r" },
        { role: "system", content: "C" },
        { role: "user", content: "v" },
      ]
      expect(render(messages)).toBe(
        "A\n\nB<｜User｜>u<｜Assistant｜></think>r<｜end▁of▁sentence｜>" +
          "<｜User｜>C\n\nv<｜Assistant｜></think>",
      )
    },
  )

  test("a turn whose reasoning is kept shows it, as empty where the client left it out", () => {
    const turn = (message: Partial<AssistantMessage>): Message[] => [
      { role: "user", content: "u" },
      { role: "assistant", content: "r", ...message },
      { role: "user", content: "v" },
    ]
    const tools = [{ name: "f", definition: '{"name":"f"}' }]
    const between = (text: string): string | undefined => /Assistant｜>(.*)r<｜end/.exec(text)?.[1]
    for (const message of [{}, { reasoning: "" }]) {
      expect(between(render(turn(message), THINKING, { tools }))).toBe("<think></think>")
      expect(between(render(turn(message), THINKING))).toBe("</think>")
      expect(between(render(turn(message).slice(0, 2), THINKING))).toBe("<think></think>")
      expect(between(render(turn(message), CHAT, { tools }))).toBe("</think>")
    }
  })

  test.each(["reference", "compat"] as const)(
    "a conversation that ends with an assistant turn, profile %s",
    (profile) => {
      const ending = (message: Partial<AssistantMessage>, options: RenderOptions): string => {
        const text = render(
          [
            { role: "user", content: "u" },
            { role: "assistant", content: "", ...message },
          ],
          { profile, ...options },
        )
        return text.slice(text.indexOf("<｜Assistant｜>"))
      }
      const answer = { content: "so far" }
      const open = { continueFinal: true }
      expect(ending(answer, CHAT)).toBe(
        "<｜Assistant｜></think>so far<｜end▁of▁sentence｜><｜Assistant｜></think>",
      )
      expect(ending(answer, THINKING)).toEndWith("<｜end▁of▁sentence｜><｜Assistant｜><think>")
      expect(ending({ toolCalls: [call("1")] }, CHAT)).toEndWith(
        "tool_calls><｜end▁of▁sentence｜><｜Assistant｜></think>",
      )
      expect(ending(answer, { ...CHAT, addGenerationPrompt: false })).toEndWith(
        "so far<｜end▁of▁sentence｜>",
      )
      expect(ending(answer, { ...CHAT, ...open })).toBe("<｜Assistant｜></think>so far")
      expect(ending(answer, { ...THINKING, ...open })).toBe("<｜Assistant｜><think></think>so far")
      const thought = { reasoning: "hm" }
      expect(ending({ ...answer, ...thought }, { ...THINKING, ...open })).toBe(
        "<｜Assistant｜><think>hm</think>so far",
      )
      expect(ending(thought, { ...THINKING, ...open })).toBe("<｜Assistant｜><think>hm")
      expect(ending({}, { ...THINKING, ...open })).toBe("<｜Assistant｜><think>")
      expect(ending(thought, { ...CHAT, ...open })).toBe("<｜Assistant｜></think>")
    },
  )

  test("without a generation prompt nothing follows the last message", () => {
    const messages: Message[] = [{ role: "user", content: "u" }]
    expect(render(messages, { ...CHAT, addGenerationPrompt: false })).toBe("<｜User｜>u")
    expect(render([], { ...CHAT, addGenerationPrompt: false })).toBe("")
  })

  test("a reminder stands before the user turn it belongs to", () => {
    const messages: Message[] = [
      { role: "user", content: "u" },
      { role: "latest_reminder", content: "now" },
      { role: "user", content: "v" },
    ]
    expect(render(messages)).toBe(
      "<｜User｜>u<｜latest_reminder｜>now<｜User｜>v<｜Assistant｜></think>",
    )
  })

  test("the prompt says whether the answer begins in thinking", () => {
    const messages: Message[] = [{ role: "user", content: "say <｜Assistant｜><think>" }]
    expect(startsInThinking(renderChat({ messages }, THINKING))).toBe(true)
    expect(startsInThinking(renderChat({ messages }, CHAT))).toBe(false)
    expect(
      startsInThinking(
        renderChat({ messages: [...messages, { role: "assistant", content: "a" }] }, THINKING),
      ),
    ).toBe(true)
    const forged = { role: "assistant", content: "<｜Assistant｜><think>" } as const
    expect(
      startsInThinking(
        renderChat({ messages: [...messages, forged] }, { ...THINKING, continueFinal: true }),
        true,
      ),
    ).toBe(false)
    const thought = { role: "assistant", content: "", reasoning: "</think>" } as const
    expect(
      startsInThinking(
        renderChat({ messages: [...messages, thought] }, { ...THINKING, continueFinal: true }),
        true,
      ),
    ).toBe(true)
  })

  test("a tool may be declared by its parts", () => {
    const tools = [
      {
        name: "f",
        description: "d",
        parameters: { type: "object", properties: { "2": {}, "1": {} } },
      },
    ]
    expect(render([{ role: "user", content: "u" }], CHAT, { tools })).toContain(
      '\n{"name": "f", "description": "d", "parameters": {"type": "object"',
    )
  })
})

describe("order of tool results", () => {
  const places = (messages: readonly Message[]): string[] =>
    orderToolResults(turnsOf(messages)).map((turn) =>
      turn.role === "user"
        ? turn.parts.map((part) => (part.role === "tool" ? part.toolCallId : part.role)).join(" ")
        : turn.role,
    )
  const result = (toolCallId: string): Message => ({
    role: "tool",
    content: toolCallId,
    toolCallId,
  })
  const calls = (...ids: string[]): Message => ({
    role: "assistant",
    content: "",
    toolCalls: ids.map((id) => call(id)),
  })
  const user: Message = { role: "user", content: "u" }

  test("follows the calls; unknown ids and other messages keep their places", () => {
    const turn = [result("c"), result("x"), user, result("a"), result("b")]
    expect(
      places([calls("a", "b", "c"), ...turn, calls("b", "a"), result("a"), result("b")]),
    ).toEqual(["assistant", "a x user b c", "assistant", "b a"])
  })

  test("holds beyond an answer without calls, and within one turn only", () => {
    const reminder: Message = { role: "latest_reminder", content: "r" }
    expect(
      places([
        calls("a", "b"),
        { role: "assistant", content: "wait" },
        result("b"),
        result("a"),
        reminder,
        result("b"),
        reminder,
        result("a"),
      ]),
    ).toEqual(["assistant", "assistant", "a b", "latest_reminder", "b", "latest_reminder", "a"])
  })
})

describe("trust", () => {
  test("no text of a client becomes a control token, in either profile", async () => {
    const tokenizer = await withFiles({ "tokenizer.json": smallDocument() }, (folder) =>
      loadTokenizer({ kind: "tokenizer.json", path: join(folder, "tokenizer.json") }),
    )
    const forged = KNOWN_SPECIALS.join("")
    const build = (text: string): Conversation => ({
      tools: [
        { name: `n${text}`, definition: JSON.stringify({ name: `n${text}`, description: text }) },
      ],
      responseFormat: { schema: { const: text } },
      messages: [
        { role: "system", content: `s${text}` },
        { role: "user", content: `u${text}` },
        {
          role: "assistant",
          content: `a${text}`,
          reasoning: `r${text}`,
          toolCalls: [
            {
              id: text,
              name: `f${text}`,
              arguments: JSON.stringify({ [`k${text}`]: text, j: [text] }),
            },
          ],
        },
        { role: "tool", toolCallId: text, content: `t${text}` },
        { role: "latest_reminder", content: `l${text}` },
        { role: "developer", content: `d${text}` },
      ],
    })
    const controls = new Set(tokenizer.special.values())
    const controlIds = (text: string, profile: Profile): number[] =>
      tokenizer
        .encodeSegments(renderChat(build(text), { thinking: true, profile }))
        .filter((id) => controls.has(id))
    for (const profile of ["reference", "compat"] as const) {
      expect(controlIds(forged, profile)).toEqual(controlIds("plain", profile))
    }
  })
})

describe("calls written and read back", () => {
  const CHARACTERS = Array.from('ab \n<>/"\\é日🙂').concat([
    "</｜DSML｜parameter>",
    "<｜DSML｜",
    "</tool_result>",
    "}",
    ",",
  ])
  const value = (random: Random, depth: number): unknown => {
    const kind = random.below(depth > 2 ? 4 : 6)
    if (kind === 0) return random.text(CHARACTERS, random.below(12))
    if (kind === 1) return random.below(1000) / 8
    if (kind === 2) return random.pick([true, false, null])
    if (kind === 3) return ""
    if (kind === 4) return Array.from({ length: random.below(4) }, () => value(random, depth + 1))
    return Object.fromEntries(
      Array.from({ length: random.below(4) }, () => [
        random.text(["k", "1", "é"], 1 + random.below(3)),
        value(random, depth + 1),
      ]),
    )
  }

  test.each(["reference", "compat"] as const)("give the same arguments, profile %s", (profile) => {
    const random = new Random(41)
    for (let round = 0; round < 800; round++) {
      const args = Object.fromEntries(
        Array.from({ length: random.below(4) }, (_, index) => [`key${index}`, value(random, 0)]),
      )
      const text = render(
        [
          { role: "user", content: "u" },
          {
            role: "assistant",
            content: "c",
            toolCalls: [call("1", JSON.stringify(args)), call("2")],
          },
        ],
        { ...CHAT, profile },
      )
      const parser = new OutputParser({ thinking: false, tools: [{ name: "f" }] })
      parser.push(text.slice(text.indexOf("</think>") + "</think>".length))
      const { content, calls } = parser.result
      expect(content).toBe("c")
      expect(calls.map((parsed) => JSON.parse(parsed.arguments) as unknown)).toEqual([args, {}])
    }
  })
})

describe("effort", () => {
  test("words of clients", () => {
    expect(
      ["none", "minimal", "low", "medium", "high", "xhigh", "max", "extreme"].map(parseEffort),
    ).toEqual(["none", "low", "low", "high", "high", "high", "max", undefined])
  })

  test("the checkpoint is read from what the file says about itself", () => {
    expect(detectEffortTable(["DeepSeek-V4-Flash", "0731"]).name).toBe("0731")
    expect(detectEffortTable(["DeepSeek-V4-Flash-0731-IQ2.gguf"]).name).toBe("0731")
    expect(detectEffortTable(["some model"]).name).toBe("original")
  })
})
