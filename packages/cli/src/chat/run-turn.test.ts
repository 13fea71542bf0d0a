import { expect, test } from "bun:test"
import type { AnswerEvent } from "@ds4/chat"
import type { Backend } from "../backend/backend.ts"
import { processIo } from "../io.ts"
import { AnswerView } from "./answer-view.ts"
import { runTurn } from "./run-turn.ts"

const USAGE = {
  promptTokens: 3,
  cachedTokens: 0,
  completionTokens: 600,
  reasoningTokens: 0,
  prefillMs: 1,
  decodeMs: 1,
}

test("an answer that repeated itself says so, and how to let it go on", async () => {
  let [out, err] = ["", ""]
  const io = { ...processIo(), out: (text: string) => void (out += text) }
  const view = new AnswerView({
    io: { ...io, err: (text) => void (err += text), isErrorTerminal: false, environment: {} },
    isRendered: false,
    showsReasoning: true,
    showsStats: false,
    showsProgress: false,
    rows: () => 24,
  })
  async function* answer(): AsyncGenerator<AnswerEvent> {
    await Promise.resolve()
    yield { type: "text", text: "again again" }
    const detail = "the last 600 tokens repeat a text of 1 tokens"
    const message = { role: "assistant", content: "again again" } as const
    yield {
      type: "finish",
      reason: "repetition",
      stopString: undefined,
      detail,
      usage: USAGE,
      message,
    }
  }
  const backend: Pick<Backend, "answer"> = { answer }
  const turn = await runTurn(
    backend as Backend,
    {
      question: { type: "conversation", conversation: { messages: [] } },
      settings: { thinking: "off" },
    },
    view,
  )
  expect([turn.finish, out]).toEqual(["repetition", "again again\n"])
  expect(err).toContain("the last 600 tokens repeat a text of 1 tokens; --no-loop-guard")
})
