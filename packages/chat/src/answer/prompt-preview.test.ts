import { expect, test } from "bun:test"
import { promptPreview } from "./prompt-preview.ts"

const user = (content: string) => ({ role: "user", content }) as const

test("the preview of a prompt is the beginning of the last question, on one line", () => {
  const messages = [user("First?"), { role: "assistant", content: "No." } as const]
  expect(promptPreview({ messages })).toBe("First?")
  expect(promptPreview({ messages: [...messages, user("  And\n\n\tnow? ")] })).toBe("And now?")
})

test("it has eighty characters at most, none of them halved", () => {
  const preview = promptPreview({ messages: [user(`${"a".repeat(79)}🌊🌊`)] }) ?? ""
  expect(preview).toBe("a".repeat(79))
})

test("there is none without a question", () => {
  expect(promptPreview({})).toBeUndefined()
  expect(promptPreview({ messages: [{ role: "system", content: "x" }, user(" ")] })).toBeUndefined()
})
