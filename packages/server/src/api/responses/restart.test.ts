// A stored response that goes on after the server was killed, over models/tiny.
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LACKING, type Running, start, waitReady } from "../../testing/server-process.ts"

const folder = mkdtempSync(join(tmpdir(), "ds4-restart-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Answered {
  id: string
  usage: {
    input_tokens: number
    output_tokens: number
    input_tokens_details: { cached_tokens: number }
  }
}

async function serve(): Promise<Running> {
  const server = await start("--kv-disk-dir", folder, "--kv-disk-min-seconds", "0")
  await waitReady(server.url)
  return server
}

async function ask({ url }: Running, body: object): Promise<Answered> {
  const common = { max_output_tokens: 8, temperature: 0, thinking: false }
  const answer = await fetch(`${url}/v1/responses`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...common, ...body }),
  })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Answered
}

test.skipIf(LACKING.length > 0)(
  "a response is continued after a kill and after a restart, where nothing is read twice",
  async () => {
    const before = await serve()
    const first = await ask(before, { input: "Tell me all of it. ".repeat(40) })
    before.process.kill("SIGKILL")
    await before.process.exited
    const kept = join(folder, "responses")
    expect(readdirSync(kept)).toEqual([`${first.id}.response`])
    expect(statSync(join(kept, `${first.id}.response`)).mode & 0o777).toBe(0o600)
    const after = await serve()
    const next = await ask(after, { input: "And?", previous_response_id: first.id })
    expect(next.usage.input_tokens).toBeGreaterThan(first.usage.input_tokens)
    const stored = await fetch(`${after.url}/v1/responses/${first.id}`)
    expect(await stored.json()).toMatchObject({ id: first.id, usage: first.usage })
    after.process.kill("SIGTERM")
    expect(await after.process.exited).toBe(0)
    const last = await serve()
    const { usage } = await ask(last, { input: "So?", previous_response_id: next.id })
    // Random weights answer with bytes that are read again: what was asked first is certain.
    const { cached_tokens: cached } = usage.input_tokens_details
    expect(cached / first.usage.input_tokens).toBeGreaterThan(0.95)
    last.process.kill("SIGTERM")
    expect(await last.process.exited).toBe(0)
  },
  60_000,
)
