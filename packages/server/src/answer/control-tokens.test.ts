// Control tokens that a model samples reach no client: in every API, streamed and whole.
import { expect, test } from "bun:test"
import { byteTokenizer } from "@ds4/tokenizer/testing"
import { harness } from "../testing/harness.ts"

const messages = [{ role: "user", content: "hi" }]
const REQUESTS = [
  ["/v1/chat/completions", { messages }],
  ["/v1/messages", { messages, max_tokens: 100 }],
  ["/v1/responses", { input: "hi", reasoning: { summary: "auto" } }],
  ["/v1/completions", { prompt: "hi" }],
] as const
const CONTROLS = [...byteTokenizer().special.keys()]

for (const [path, body] of REQUESTS)
  for (const stream of [false, true])
    test(`${path} ${stream ? "streamed" : "whole"}`, async () => {
      for (const control of CONTROLS) {
        const scripts = [`Think${control}ing</think>Answer${control}ing`, `</think>x${control}`]
        for (const script of scripts) {
          const server = harness({ script: () => script, batchTokens: 100 })
          const answer = await (await server.post(path, { ...body, stream })).text()
          expect(answer).not.toContain(control)
          expect(answer).not.toContain("think>")
          expect(server.lines.map(({ status }) => status)).toEqual([200])
        }
      }
    })
