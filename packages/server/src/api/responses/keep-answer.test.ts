import { expect, spyOn, test } from "bun:test"
import { ResponseStore } from "../../stored-responses/response-store.ts"
import { OUTCOME } from "../../testing/writers.ts"
import { keeperOf } from "./keep-answer.ts"
import { ResponseStreamWriter } from "./writer.ts"

const IDENTITY = {
  id: `resp_${"1".repeat(32)}`,
  created: 7,
  model: "m",
  echo: {},
  reasoning: { showSummary: false, includeEncrypted: false },
  tools: new Map(),
}

/** A writer, and a keeper of its answer over an empty store. */
function kept() {
  const store = new ResponseStore({ count: 10, bytes: 2 ** 20 }, undefined)
  const save = spyOn(store, "save")
  const writer = new ResponseStreamWriter(IDENTITY)
  const continuation = { before: [], history: [], input: [{ id: "msg_1", item: "hi" }] }
  return { save, writer, keep: keeperOf(continuation, { store, owner: "" }, IDENTITY, writer) }
}

test("an answer is kept once, as it was when it ended", async () => {
  const { save, writer, keep } = kept()
  writer.open({ promptTokens: 1, cachedTokens: 0 })
  writer.write({ events: [{ type: "text", text: "a" }], logprobs: undefined })
  writer.close(OUTCOME)
  await keep(undefined)
  await keep(new Error("the client left afterwards"))
  expect(save).toHaveBeenCalledTimes(1)
  const [stored] = save.mock.calls[0] ?? []
  expect(JSON.parse(Buffer.from(stored?.response ?? []).toString())).toMatchObject({
    status: "completed",
  })
})

test("an answer that failed before its client knew its id is not kept", async () => {
  const { save, keep } = kept()
  await keep(new Error("the device is on fire"))
  expect(save).not.toHaveBeenCalled()
})
