import { describe, expect, test } from "bun:test"
import { Random } from "@ds4/model-file/testing"
import { OutputParser } from "../parser/output-parser.ts"
import { renderChat } from "./chat-template.ts"
import { segmentsText } from "./segment-writer.ts"
import type { Profile } from "./tools-block.ts"

const PIECES = Array.from('ab \t\n\r<>/"\\&;{}[]:é日🙂').concat([
  "&amp;",
  "&lt;",
  "&gt;",
  "&quot;",
  "&#39;",
  "&apos;",
  "&copy;",
  "<p>Tom &amp; Jerry</p>",
  "</｜DSML｜parameter>",
  "&lt;/｜DSML｜parameter>",
  "&amp;lt;/｜DSML｜parameter>",
  "&lt;/｜DSML｜",
  '\n<｜DSML｜parameter name="x" string="true">',
  '\n<｜DSML｜invoke name="write">\n',
  "\n</｜DSML｜invoke>\n",
  "</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
  "\n<｜DSML｜tool_calls>\n",
  "</|DSML|parameter>",
  "</parameter>",
  "</invoke>",
  '<parameter name="x">',
  "</｜DSML｜",
  "<｜DSML｜/",
  "｜DSML｜",
  "</think>",
  "<tool_calls>\n",
  "```\n",
  "null",
  "5",
])

/** The answer that the template shows again for a call with these arguments. */
const shown = (args: unknown, profile: Profile): string => {
  const toolCalls = [{ id: "c", name: "write", arguments: JSON.stringify(args) }]
  const text = segmentsText(
    renderChat(
      {
        messages: [
          { role: "user", content: "u" },
          { role: "assistant", content: "", toolCalls },
        ],
      },
      { thinking: false, profile },
    ),
  )
  const begin = text.indexOf("</think>") + "</think>".length
  return text.slice(begin, text.lastIndexOf("<｜end"))
}

const readAgain = (text: string): unknown[] => {
  const parser = new OutputParser({ thinking: false, tools: [{ name: "write" }] })
  for (let at = 0; at < text.length; at += 7) parser.push(text.slice(at, at + 7))
  expect(parser.result.content).toBe("")
  return parser.result.calls.map((call) => JSON.parse(call.arguments) as unknown)
}

describe("rendering a call and reading it again", () => {
  test.each(["reference", "compat"] as const)("gives every string, profile %s", (profile) => {
    const random = new Random(11)
    for (let round = 0; round < 1000; round++) {
      const value = random.text(PIECES, random.below(9))
      const args = random.pick([
        { content: value },
        { content: value, after: random.text(PIECES, 3) },
        { nested: { list: [value, { [value]: value }] } },
      ])
      expect(readAgain(shown(args, profile))).toEqual([args])
    }
  })

  test("changes nothing but the closing tag", () => {
    const body = (content: string) =>
      /string="true">(.*?)<\/｜DSML｜parameter>/s.exec(shown({ content }, "reference"))?.[1]
    expect(body("&amp; &lt;b&gt; <｜DSML｜invoke>")).toBe("&amp; &lt;b&gt; <｜DSML｜invoke>")
    expect(body("a</｜DSML｜parameter>b")).toBe("a&lt;/｜DSML｜parameter>b")
  })
})
