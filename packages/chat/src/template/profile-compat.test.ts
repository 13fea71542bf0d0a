import { describe, expect, test } from "bun:test"
import { renderChat } from "./chat-template.ts"
import type { Effort } from "./effort.ts"
import { segmentsText } from "./segment-writer.ts"
import { parseJsonNode, writeJsonNode } from "../json/json-node.ts"
import { parseJson } from "../json/json-value.ts"
import { anthropicRequest } from "../readers/anthropic-messages.ts"
import { chatRequest } from "../readers/openai-chat.ts"
import { responsesRequest } from "../readers/openai-responses.ts"
import { RequestError } from "../readers/request-error.ts"
import { fixture } from "../testing/fixtures.ts"

interface RecordedCase {
  id: string
  api: "openai" | "anthropic" | "responses"
  think: "none" | Effort
  request: unknown
  expected: string | null
  error: "parse" | null
}
const recorded = await fixture<{ cases: RecordedCase[] }>("render-compat.json")

const READERS = { openai: chatRequest, anthropic: anthropicRequest, responses: responsesRequest }

/**
 * The recorded server repeats tool schemas byte for byte; the bodies it was sent had spaces after
 * separators.
 */
const asSent = (request: unknown): unknown =>
  parseJson(writeJsonNode(parseJsonNode(JSON.stringify(request)), "spaced"))

describe("profile compat, recorded from the May 2026 server", () => {
  for (const { id, api, think, request, expected, error } of recorded.cases) {
    test(id, () => {
      const read = () => READERS[api](asSent(request), { profile: "compat" })
      if (error !== null) {
        expect(read).toThrow(RequestError)
        return
      }
      const { conversation } = read()
      const segments = renderChat(conversation, {
        profile: "compat",
        thinking: think !== "none",
        ...(think !== "none" && { effort: think }),
        // That server wrote no generation prompt here, and the model went on as the user.
        addGenerationPrompt: conversation.messages.at(-1)?.role !== "assistant",
      })
      expect(segmentsText(segments)).toBe(expected ?? "")
    })
  }
})
