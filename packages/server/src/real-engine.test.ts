// The native engine behind the server.
import { afterAll, beforeAll, expect, test } from "bun:test"
import OpenAI from "openai"
import { LACKING, MAIN, type Running, start, TINY, waitReady } from "./testing/server-process.ts"

const engineTest = test.skipIf(LACKING.length > 0)

let server: Running
let client: OpenAI
beforeAll(async () => {
  if (LACKING.length > 0) return
  server = await start()
  await waitReady(server.url)
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 })
}, 240_000)
afterAll(() => server?.process.kill("SIGKILL"))

const request = {
  model: "tiny",
  messages: [{ role: "user" as const, content: "Tell me about tides." }],
  max_completion_tokens: 48,
  temperature: 0,
}

engineTest("start-up prints address, model, context and memory in at most 15 lines", async () => {
  const lines = server.printed().split("\n")
  const report = lines.filter((line) => !line.includes("/health")) // requests of waitReady
  expect(report.join("\n")).toMatch(
    /model .*models\/tiny\n[\s\S]*context +4096[\s\S]*memory[\s\S]*ready/,
  )
  expect(report.indexOf("ready")).toBeLessThan(15)
})

engineTest("greedy answers repeat, and a stream is the whole answer", async () => {
  const texts = async () => {
    const whole = await client.chat.completions.create(request)
    const message = whole.choices[0]?.message as
      | { content: string | null; reasoning_content?: string }
      | undefined
    return {
      content: message?.content ?? "",
      reasoning: message?.reasoning_content ?? "",
      tokens: whole.usage?.completion_tokens,
    }
  }
  const first = await texts()
  expect(first.tokens).toBeGreaterThan(0)
  expect(await texts()).toEqual(first)
  const streamed = { content: "", reasoning: "", tokens: 0 as number | undefined }
  for await (const chunk of await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  })) {
    const delta = chunk.choices[0]?.delta as
      | { content?: string; reasoning_content?: string }
      | undefined
    streamed.content += delta?.content ?? ""
    streamed.reasoning += delta?.reasoning_content ?? ""
    streamed.tokens = chunk.usage?.completion_tokens ?? streamed.tokens
  }
  expect(streamed).toEqual(first)
})

engineTest("a seed repeats a sampled answer; logprobs are those of the chosen tokens", async () => {
  const sampled = {
    ...request,
    temperature: 1,
    seed: 7,
    max_completion_tokens: 16,
    logprobs: true,
    top_logprobs: 3,
  }
  const one = await client.chat.completions.create(sampled)
  const two = await client.chat.completions.create(sampled)
  expect(one.choices[0]?.message).toEqual(
    two.choices[0]?.message as (typeof one.choices)[0]["message"],
  )
  const lists = one.choices[0]?.logprobs as {
    content: { logprob: number }[]
    reasoning_content?: { logprob: number }[]
  } | null
  const entries = [...(lists?.reasoning_content ?? []), ...(lists?.content ?? [])]
  expect(entries).toHaveLength(one.usage?.completion_tokens ?? -1)
  for (const entry of entries) expect(entry.logprob).toBeLessThanOrEqual(0)
})

engineTest(
  "max_tokens 0 only reads the prompt, and a longer prompt then goes on from there",
  async () => {
    const warmed = await client.completions.create({
      model: "tiny",
      prompt: "Tell me about tides.\n",
      max_tokens: 0,
    })
    expect([warmed.usage?.completion_tokens, warmed.choices[0]?.text]).toEqual([0, ""])
    const longer = await client.completions.create({
      model: "tiny",
      prompt: "Tell me about tides.\nThe moon pulls.",
      max_tokens: 1,
    })
    // The last token is left for the request that follows.
    const readTokens = (warmed.usage?.prompt_tokens ?? 0) - 1
    expect(longer.usage?.prompt_tokens_details?.cached_tokens).toBe(readTokens)
  },
)

engineTest("a client that leaves frees the engine", async () => {
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    max_completion_tokens: 4000,
  })
  for await (const _ of stream) break
  stream.controller.abort()
  const deadline = performance.now() + 20_000
  for (;;) {
    const stats = (await (await fetch(`${server.url}/v1/stats`)).json()) as {
      active: number
      running: number
      tokens: { output: number }
    }
    if (stats.active + stats.running === 0) {
      expect(stats.tokens.output).toBeLessThan(4000)
      break
    }
    expect(performance.now()).toBeLessThan(deadline)
    await Bun.sleep(10)
  }
})

engineTest("SIGTERM ends the process with 0", async () => {
  server.process.kill("SIGTERM")
  expect(await server.process.exited).toBe(0)
})

engineTest("--quiet prints nothing but the address that only the server knows", async () => {
  const child = Bun.spawn([process.execPath, MAIN, "--port", "0", "-m", TINY, "--quiet"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  let printed = ""
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += chunk
    if (printed.endsWith("\n")) break
  }
  expect(printed).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/)
  await waitReady(printed.trim())
  child.kill("SIGTERM")
  expect([await child.exited, await child.stderr.text()]).toEqual([0, ""])
})

engineTest("a context beyond the model's is told", async () => {
  const asked = await start("--ctx", "1m")
  await waitReady(asked.url)
  await Bun.sleep(20)
  asked.process.kill("SIGKILL")
  const [, longest = ""] = /^context +(\d+) tokens/m.exec(asked.printed()) ?? []
  expect(asked.printed()).toContain(
    `\n         --ctx 1048576 is more than tiny was made for (${longest} tokens); the context is `,
  )
})
