// A chat with the embedded model: the real engine under the same rules as the scripted one.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import type { Chat } from "./chat.ts"
import { open } from "./open.ts"
import type { Message } from "./template/conversation.ts"
import { tell } from "./testing/answers.ts"

setDefaultTimeout(60_000) // the machine may be busy

let chat: Chat
beforeAll(async () => {
  chat = await open(undefined, { maxSessions: 1 })
})
afterAll(async () => await chat.close())

const QUESTION: Message = { role: "user", content: "What is 61 + 38?" }
const GREEDY = { sampling: { temperature: 0 }, thinking: "high" } as const
const ask = (messages: readonly Message[], signal?: AbortSignal) =>
  chat.answer({ messages, ...GREEDY, ...(signal === undefined ? {} : { signal }) })

test("an answer and its next turn come from one session", async () => {
  const first = await tell(ask([QUESTION]))
  expect(first.text).toContain("99")
  if (first.finish === undefined) throw new Error("the answer has no end")
  const second = await tell(
    ask([QUESTION, first.finish.message, { role: "user", content: "What is 58 - 23?" }]),
  )
  expect(second.text).toContain("35")
  // The next prompt lacks the opening of reasoning.
  const held = first.finish.usage.promptTokens - 1
  expect(second.finish?.usage.cachedTokens).toBeGreaterThanOrEqual(held)
})

test("cancelled at any token, by signal or by leaving, the session answers again", async () => {
  const { reasoning, text } = await tell(ask([QUESTION]))
  for (let limit = 0; limit < 12; limit++) {
    const abort = new AbortController()
    let seen = 0
    for await (const event of ask([QUESTION], abort.signal)) {
      if (event.type === "finish") expect(["cancelled", "stop"]).toContain(event.reason)
      if (seen++ < limit) continue
      if (limit % 2 === 0) abort.abort()
      else break
    }
    const again = await tell(ask([QUESTION]))
    expect({ limit, reasoning: again.reasoning, text: again.text }).toEqual({
      limit,
      reasoning,
      text,
    })
    expect(chat.engine.stats().running).toBe(0)
  }
})

test("the signal of a request that waits ends it without a session", async () => {
  const running = ask([QUESTION])
  await running.next()
  const abort = new AbortController()
  const waiting = tell(ask([QUESTION], abort.signal))
  abort.abort()
  expect((await waiting).finish?.reason).toBe("cancelled")
  await running.return()
})
