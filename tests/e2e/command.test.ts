// The command as a person starts it: the shim at the root, a server on a real port, clients against
// it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import OpenAI from "openai"

setDefaultTimeout(60_000) // starts a server; the machine may be busy

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const LIBRARY = join(ROOT, "native/dist/libds4.so")
const TINY = join(ROOT, "models/tiny")
const folder = mkdtempSync(join(tmpdir(), "ds4-e2e-"))
const environment = {
  PATH: process.env.PATH ?? "",
  HOME: folder,
  DS4_LIBRARY: LIBRARY,
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
}

async function ds4(
  args: readonly string[],
  input = "",
): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([join(ROOT, "ds4"), ...args], {
    cwd: folder,
    env: environment,
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
  })
  const [code, out, err] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ])
  return { code, out, err }
}

let server: Bun.Subprocess<"ignore", "ignore", "pipe">
let url = ""

beforeAll(async () => {
  server = Bun.spawn([join(ROOT, "ds4"), "serve", "-m", TINY, "--port", "0"], {
    cwd: folder,
    env: environment,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  })
  let said = ""
  for await (const bytes of server.stderr) {
    said += new TextDecoder().decode(bytes)
    url = /(http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1] ?? ""
    if (url !== "" && /^ready/m.test(said)) return
  }
  throw new Error(`the server ended: ${said}`)
}, 240_000)

afterAll(() => {
  server.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
})

test(
  "ds4 run on the server and on the engine in the process give the same greedy " + "answer",
  async () => {
    const args = [
      "run",
      "-m",
      TINY,
      "hello there",
      "-n",
      "24",
      "--temp",
      "0",
      "--think=off",
      "--json",
    ]
    const [local, remote] = [
      await ds4(args),
      await ds4([...args.filter((arg) => arg !== "-m" && arg !== TINY), "--url", url]),
    ]
    expect([local.code, remote.code]).toEqual([0, 0])
    const content = (text: string) => (JSON.parse(text) as { content: string }).content
    expect(content(remote.out)).toBe(content(local.out))
    expect(content(local.out).length).toBeGreaterThan(0)
  },
)

test("the openai client streams what ds4 run says", async () => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" })
  const stream = await client.chat.completions.create({
    model: "any",
    messages: [{ role: "user", content: "hello there" }],
    max_tokens: 24,
    temperature: 0,
    reasoning_effort: "none",
    stream: true,
  })
  let text = ""
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ""
  const local = JSON.parse(
    (
      await ds4([
        "run",
        "-m",
        TINY,
        "hello there",
        "-n",
        "24",
        "--temp",
        "0",
        "--think=off",
        "--json",
      ])
    ).out,
  ) as { content: string }
  expect(text).toBe(local.content)
})

test("paths are the caller's, not the checkout's", async () => {
  await Bun.write(join(folder, "ids.json"), "[0, 1, 2]")
  const result = await ds4(["logits", "-m", TINY, "--ids", "ids.json", "--top-k", "1", "--json"])
  expect((JSON.parse(result.out) as { positions: unknown[] }).positions).toHaveLength(3)
})

test("SIGTERM to ds4 serve ends the server behind it", async () => {
  expect((await fetch(`${url}/health`)).status).toBe(200)
  server.kill("SIGTERM")
  expect(await server.exited).toBe(0)
  const refused = await fetch(`${url}/health`).then(
    () => "answered",
    () => "refused",
  )
  expect(refused).toBe("refused")
})
