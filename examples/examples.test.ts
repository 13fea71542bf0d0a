// Every example is run as its first lines say, from the repository's root.
import { expect, test } from "bun:test"
import { join } from "node:path"

const ROOT = join(import.meta.dir, "..")

async function run(...words: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, ...words], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  expect(err).toBe("")
  expect(await child.exited).toBe(0)
  return out
}

test("chat: two turns, the second one on the first one's session", async () => {
  const out = await run("examples/chat.ts")
  expect(out).toContain("42")
  const cached = [...out.matchAll(/\((\d+) cached\)/g)].map(([, count]) => Number(count))
  expect(cached).toHaveLength(2)
  expect(cached[0]).toBe(0)
  expect(cached[1]).toBeGreaterThan(0)
})

test("tools: the model calls, and answers with the result", async () => {
  const out = await run("examples/tools.ts")
  expect(out).toMatch(/get_weather\(\{"city": ?"Oslo"\}\)/)
  expect(out.split("\n").slice(1).join("\n")).toContain("sunny")
})

test("tokenize: text comes back, and control strings in it are plain text", async () => {
  const out = await run("examples/tokenize.ts")
  expect(out).toContain("back again: true")
  expect(out).toMatch(/\d+ ids in the prompt/)
})

test("inspect: the demo model's shape and groups", async () => {
  const out = await run("examples/inspect.ts")
  expect(out).toContain("16 experts, 4 of them for a token")
  expect(out).toContain("routed experts: ")
})

test("experts: one layer gives finite values", async () => {
  const out = await run("examples/experts.ts")
  expect(Number(/rms (\S+)/.exec(out)?.[1])).toBeGreaterThan(0)
})

test("elysia: an application with the interfaces mounted", async () => {
  const child = Bun.spawn([process.execPath, "examples/elysia.ts", "0"], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  })
  let url: string | undefined
  for await (const bytes of child.stdout) {
    url = /listening on (\S+),/.exec(new TextDecoder().decode(bytes))?.[1]
    if (url !== undefined) break
  }
  if (url === undefined) throw new Error("the example ended before it listened")
  expect(await (await fetch(url)).text()).toContain("model inside")
  const response = await fetch(`${url}model/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      messages: [{ role: "user", content: "What is 12 + 30?" }],
      temperature: 0,
      thinking: false,
    }),
  })
  const { choices } = (await response.json()) as { choices: [{ message: { content: string } }] }
  expect(choices[0].message.content).toContain("42")
  child.kill("SIGTERM")
  expect(await child.exited).toBe(0)
})
