// States on disk over HTTP: the scripted engine keeps them in a map.
import { expect, test } from "bun:test"
import { KvStoreError } from "@ds4/engine"
import { errorOf } from "../../testing/answered-errors.ts"
import { type Harness, harness } from "../../testing/harness.ts"

const SYSTEM = { role: "system", content: "You help. ".repeat(60) }
const messages = [SYSTEM, { role: "user", content: "Why   is\nthe sea salt?" }]

interface Saved {
  key: string
  label: string
  tokens: number
  prompt_tokens: number
  cached_tokens: number
  replaced: string[]
}
interface Listed {
  data: { key: string; label: string; tokens: number; preview: string | null }[]
  disk: { checkpoints: number } | null
  memory: { prefixes: number; hits: number }
}

async function json<T>(answer: Response | Promise<Response>): Promise<T> {
  const settled = await answer
  expect(settled.status).toBe(200)
  return (await settled.json()) as T
}

const save = (server: Harness, body: object): Promise<Saved> =>
  json(server.post("/v1/kv/save", { label: "sea", ...body }))
const list = (server: Harness): Promise<Listed> => json(server.get("/v1/kv"))
const remove = async (server: Harness, key: string): Promise<Response> =>
  server.app.handle(new Request(`http://localhost/v1/kv/${key}`, { method: "DELETE" }))

/** Status and code of an error. */
const refusal = async (answer: Response | Promise<Response>): Promise<[number, unknown]> => {
  const settled = await answer
  return [settled.status, (await errorOf(settled)).code]
}

test("a conversation is saved under a name, listed, loaded by name or key, removed", async () => {
  const server = harness()
  const saved = await save(server, { messages })
  expect(saved).toMatchObject({ label: "sea", cached_tokens: 0, replaced: [] })
  expect(saved.tokens).toBe(saved.prompt_tokens - 1)
  const { data, disk, memory } = await list(server)
  const { key, tokens } = saved
  expect(data).toMatchObject([{ key, label: "sea", tokens, preview: "Why is the sea salt?" }])
  expect([disk?.checkpoints, memory.prefixes]).toEqual([1, expect.any(Number)])
  for (const body of [{ label: "sea" }, { key }])
    expect(await json<object>(server.post("/v1/kv/load", body))).toEqual({
      key,
      label: "sea",
      tokens,
    })
  expect(await json<object>(remove(server, key))).toEqual({ key, deleted: true })
  expect(await refusal(remove(server, key))).toEqual([404, "checkpoint_not_found"])
  expect(await refusal(server.post("/v1/kv/load", { label: "sea" }))).toEqual([
    404,
    "checkpoint_not_found",
  ])
})

test("what was saved is there for the answer to the last question", async () => {
  const server = harness()
  const { tokens } = await save(server, { messages })
  const answer = await json<{ usage: { prompt_tokens_details: { cached_tokens: number } } }>(
    server.post("/v1/chat/completions", { messages, thinking: false }),
  )
  expect(answer.usage.prompt_tokens_details.cached_tokens).toBe(tokens)
})

test("a name stands for what was saved last: the state that had it goes", async () => {
  const server = harness()
  const first = await save(server, { messages })
  const other = await save(server, { label: "other", messages: [SYSTEM] })
  const longer = [...messages, { role: "assistant", content: "Rivers." }]
  const second = await save(server, { messages: longer })
  expect([second.replaced, second.cached_tokens > first.tokens - 2]).toEqual([[first.key], true])
  const keys = (await list(server)).data.map(({ key }) => key)
  expect(keys.sort()).toEqual([other.key, second.key].sort())
  expect((await save(server, { messages: longer })).replaced).toEqual([])
})

test("a raw prompt is saved as text and as ids; one of the two must be there", async () => {
  const server = harness()
  const text = await save(server, { prompt: "Once upon a time" })
  expect((await list(server)).data[0]?.preview).toBe("Once upon a time")
  const ids = server.state.require().chat.tokenizer.encode("Once upon a time")
  expect((await save(server, { prompt: ids })).key).toBe(text.key)
  expect(await errorOf(await server.post("/v1/kv/save", { label: "x" }))).toMatchObject({
    message: "missing messages or prompt",
    param: "messages",
  })
  for (const body of [{ messages }, { messages, label: "" }, { messages, label: 3 }])
    expect((await server.post("/v1/kv/save", body)).status).toBe(400)
  expect((await server.post("/v1/kv/load", {})).status).toBe(400)
  expect((await server.post("/v1/kv/save", { label: "x", messages: [{ role: 3 }] })).status).toBe(
    400,
  )
})

test("verify and gc tell what they did", async () => {
  const server = harness()
  await save(server, { messages })
  expect(await json<object>(server.post("/v1/kv/verify", ""))).toMatchObject({
    files: 1,
    damaged: [],
  })
  expect(await json<object>(server.post("/v1/kv/gc", ""))).toEqual({ files: 0, bytes: 0 })
})

test("without a folder the list is empty, and the rest says how to have one", async () => {
  const server = harness({ hasDisk: false })
  expect(await list(server)).toMatchObject({ data: [], disk: null, memory: { prefixes: 0 } })
  for (const answer of [
    remove(server, "0"),
    server.post("/v1/kv/save", { label: "x", messages }),
    server.post("/v1/kv/load", { label: "x" }),
    server.post("/v1/kv/verify", ""),
    server.post("/v1/kv/gc", ""),
  ]) {
    const { message, code } = await errorOf(await answer)
    expect([(await answer).status, code]).toEqual([503, "kv_disabled"])
    expect(message).toContain("--kv-disk-dir")
  }
  expect(server.engine.requests).toEqual([]) // nothing is read in vain
})

test("another process in the folder, a damaged file, a disk that is full", async () => {
  const server = harness()
  const { key } = await save(server, { messages })
  const { kv } = server.engine
  if (kv === undefined) throw new Error("the engine has no files")
  const requests: Record<string, () => Promise<Response>> = {
    list: () => server.get("/v1/kv"),
    remove: () => remove(server, key),
    save: () => server.post("/v1/kv/save", { label: "x", messages }),
    load: () => server.post("/v1/kv/load", { key }),
    verify: () => server.post("/v1/kv/verify", ""),
    gc: () => server.post("/v1/kv/gc", ""),
  }
  for (const [name, request] of Object.entries(requests)) {
    kv.fault = new KvStoreError("LOCKED", "another process kept the folder")
    const answer = await request()
    const { message, code } = await errorOf(answer)
    expect([name, answer.status, code]).toEqual([name, 409, "kv_locked"])
    expect(message).toBe("another process kept the folder")
  }
  kv.fault = new KvStoreError("FOLDER", "it is gone")
  expect(await refusal(server.post("/v1/kv/gc", ""))).toEqual([503, "kv_folder"])
  kv.save = async () => ({ saved: false, reason: "no-space", message: "disk full", tokens: 1 })
  const full = await server.post("/v1/kv/save", { label: "x", messages })
  const { message, code } = await errorOf(full)
  expect([full.status, code, message]).toEqual([
    503,
    "kv_no_space",
    "the state was not saved: disk full",
  ])
  expect(server.lines.at(-1)).toMatchObject({ path: "/v1/kv/save", status: 503 })
  expect(server.registry.size).toBe(0)
})

test("with keys set nothing is told and nothing done without one", async () => {
  const server = harness({ settings: ({ access }) => void (access.apiKeys = ["secret"]) })
  for (const answer of [
    server.get("/v1/kv"),
    remove(server, "0"),
    server.post("/v1/kv/save", { label: "x", messages }),
    server.post("/v1/kv/load", { label: "x" }),
    server.post("/v1/kv/verify", ""),
    server.post("/v1/kv/gc", ""),
  ])
    expect((await answer).status).toBe(401)
  const key = { authorization: "Bearer secret" }
  expect((await server.get("/v1/kv", key)).status).toBe(200)
})
