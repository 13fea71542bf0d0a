import { expect, test } from "bun:test"
import { errorOf } from "../../testing/answered-errors.ts"
import { harness, type Harness } from "../../testing/harness.ts"

type Reader =
  | ({ read(): Promise<{ done: boolean; value?: unknown }> } & { cancel(): unknown })
  | undefined

/** Starts a response and reads its first frame. */
async function begin(server: Harness, body: object = {}) {
  const response = await server.post("/v1/responses", { input: "hi", stream: true, ...body })
  const reader: Reader = response.body?.getReader()
  const first = textOf((await reader?.read())?.value)
  return { reader, id: /resp_[0-9a-f]+/.exec(first)?.[0] ?? "" }
}

const textOf = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array)

async function rest(reader: Reader): Promise<string> {
  let text = ""
  for (
    let part = await reader?.read();
    part !== undefined && !part.done;
    part = await reader?.read()
  )
    text += textOf(part.value)
  return text
}

test("a running response is cancelled by its id; one that does not run is 404", async () => {
  const server = harness({ script: () => "the ".repeat(50_000), tokenMs: 2 })
  const { reader, id } = await begin(server, { store: false })
  expect((await server.post(`/v1/responses/${id}/cancel`, "")).status).toBe(200)
  expect(await rest(reader)).toContain("event: response.failed")
  const again = await server.post(`/v1/responses/${id}/cancel`, "")
  expect(await errorOf(again)).toMatchObject({
    code: "response_not_found",
    type: "not_found_error",
  })
})

test("one that was cancelled, failed or whose client left is stored with what it has", async () => {
  const server = harness({
    script: ({ promptTokens }) =>
      server.state.require().chat.tokenizer.decode(promptTokens).includes("fail")
        ? { text: "half an ans", error: new Error("the device is on fire") }
        : "the ".repeat(50_000),
    tokenMs: 1,
  })
  const off = { thinking: false }
  const cancelled = await begin(server, off)
  for (let frames = 0; frames < 10; frames++) await cancelled.reader?.read()
  await server.post(`/v1/responses/${cancelled.id}/cancel`, "")
  await rest(cancelled.reader)
  const left = await begin(server, off)
  for (let frames = 0; frames < 10; frames++) await left.reader?.read()
  await left.reader?.cancel()
  const failed = await begin(server, { ...off, input: "fail" })
  await rest(failed.reader)
  while (server.registry.size > 0) await Bun.sleep(1)
  for (const [{ id }, status, text] of [
    [cancelled, "cancelled", "the "],
    [left, "cancelled", "the "],
    [failed, "failed", "half an ans"],
  ] as const) {
    const stored = (await (await server.get(`/v1/responses/${id}`)).json()) as {
      status: string
      output: { status: string; content: { text: string }[] }[]
    }
    expect([id, stored.status]).toEqual([id, status])
    expect(stored.output[0]?.status).toBe("incomplete")
    expect(stored.output[0]?.content[0]?.text).toStartWith(text)
    const next = { input: "go on", previous_response_id: id, max_output_tokens: 1, ...off }
    expect((await server.post("/v1/responses", next)).status).toBe(200)
    const prompt = server.engine.requests.at(-1)?.promptTokens ?? []
    expect(server.state.require().chat.tokenizer.decode(prompt)).toContain(`</think>${text}`)
  }
})
