// A named state of models/tiny in a real folder, across a restart and beside other models'.
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openApp, type OpenedApp } from "../../open-app.ts"
import { LACKING, TINY } from "../../testing/server-process.ts"

const folder = mkdtempSync(join(tmpdir(), "ds4-kv-api-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A server that saves nothing but by name. */
const start = (): Promise<OpenedApp> =>
  openApp({ model: TINY, ctx: 4096, "kv-disk-dir": folder, "kv-disk-min-seconds": 3600 })

const EXPLAIN = { "x-ds4-explain-cache": "1" }

async function call<T>({ app }: OpenedApp, path: string, body?: object): Promise<T> {
  const sent = { method: "POST", body: JSON.stringify(body), headers: EXPLAIN }
  const init = body === undefined ? {} : sent
  const answer = await app.handle(new Request(`http://localhost${path}`, init))
  expect([path, answer.status]).toEqual([path, 200])
  return (await answer.json()) as T
}

interface Listed {
  data: { key: string; label: string | null; tokens: number; usable: boolean }[]
}
interface Answered {
  choices: { message: { content: string } }[]
  usage: {
    prompt_tokens: number
    prompt_tokens_details: { cached_tokens: number }
    cache_explanation: { source: string; nearest: { source: string; shared_tokens: number } }
  }
}

const messages = [
  { role: "system", content: "You help with the sea. ".repeat(40) },
  { role: "user", content: "Why is it salt?" },
]
const chat = { messages, thinking: false, max_tokens: 8, temperature: 0 }

test.skipIf(LACKING.length > 0)(
  "it is there after a restart, is loaded by its name, and the answer is the same",
  async () => {
    const first = await start()
    const saved = await call<{ key: string; tokens: number }>(first, "/v1/kv/save", {
      label: "sea",
      messages,
    })
    const expected = await call<Answered>(first, "/v1/chat/completions", chat)
    expect(expected.usage.prompt_tokens_details.cached_tokens).toBe(saved.tokens)
    await first.close()

    const second = await start()
    const { key, tokens } = saved
    const { data } = await call<Listed>(second, "/v1/kv")
    expect(data).toMatchObject([{ key, label: "sea", tokens, usable: true }])
    expect(await call<object>(second, "/v1/kv/load", { label: "sea" })).toMatchObject({
      key,
      tokens,
    })
    const answer = await call<Answered>(second, "/v1/chat/completions", chat)
    expect(answer.usage.prompt_tokens_details.cached_tokens).toBe(tokens)
    expect(answer.choices).toEqual(expected.choices)
    const checked = await call<{ files: number; damaged: object[] }>(second, "/v1/kv/verify", {})
    expect(checked).toMatchObject({ files: 1, damaged: [] })
    expect(answer.usage.cache_explanation.source).toBe("memory")
    await second.close()

    const third = await start()
    const [system] = messages
    const other = { ...chat, messages: [system, { role: "user", content: "Why is it blue?" }] }
    const { cache_explanation: miss } = (await call<Answered>(third, "/v1/chat/completions", other))
      .usage
    expect(miss).toMatchObject({ source: "none", nearest: { source: "disk" } })
    expect(miss.nearest.shared_tokens).toBeLessThan(tokens)
    const found = await call<Answered>(third, "/v1/chat/completions", chat)
    expect(found.usage.cache_explanation.source).toBe("disk")
    await third.close()
  },
  60_000,
)

test.skipIf(LACKING.length > 0)(
  "a damaged file is found, told and no longer listed",
  async () => {
    const server = await start()
    const [name = ""] = readdirSync(join(folder, "checkpoints"))
    const path = join(folder, "checkpoints", name)
    const bytes = readFileSync(path)
    bytes[bytes.length - 400] = (bytes[bytes.length - 400] ?? 0) ^ 1
    writeFileSync(path, bytes)
    const { damaged } = await call<{ damaged: object[] }>(server, "/v1/kv/verify", {})
    expect(damaged).toMatchObject([{ file: `checkpoints/${name}` }])
    expect((await call<Listed>(server, "/v1/kv")).data).toEqual([])
    await server.close()
  },
  60_000,
)
