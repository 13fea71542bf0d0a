// An agent's conversation that goes on after the server was started again, over models/tiny.
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LACKING, start, waitReady } from "../testing/server-process.ts"

const folder = mkdtempSync(join(tmpdir(), "ds4-restart-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Completion {
  choices: { message: Record<string, unknown> }[]
  usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } }
}

/** Serves one request in a process of its own. */
async function serveOnce(body: unknown): Promise<Completion> {
  const server = await start("--kv-disk-dir", folder, "--kv-disk-min-seconds", "0")
  await waitReady(server.url)
  const answer = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  })
  expect(answer.status).toBe(200)
  const completion = (await answer.json()) as Completion
  server.process.kill("SIGTERM")
  expect(await server.process.exited).toBe(0)
  return completion
}

test.skipIf(LACKING.length > 0)(
  "a conversation of an earlier server is read from disk, and its files are private",
  async () => {
    const messages: unknown[] = [
      { role: "system", content: "You help. ".repeat(40) },
      { role: "user", content: "Tell me." },
    ]
    const request = { max_tokens: 8, temperature: 0, thinking: false }
    const first = await serveOnce({ messages, ...request })
    messages.push(first.choices[0]?.message, { role: "user", content: "And?" })
    const next = await serveOnce({ messages, ...request })
    const cached = next.usage.prompt_tokens_details.cached_tokens
    // Random weights answer with bytes that no client can send back: the first message is certain.
    expect(cached).toBeGreaterThanOrEqual(300)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
  },
  60_000,
)
