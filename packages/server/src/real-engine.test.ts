// models/tiny, whose random weights never end an answer by themselves, in the native engine behind
// the server: as a process of its own.
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { join } from "node:path"
import OpenAI from "openai"

const ROOT = join(import.meta.dir, "../../..")
const TINY = join(ROOT, "models/tiny")
const LACKING = [join(ROOT, "native/dist/libds4.so"), join(TINY, "config.json")].filter(
  (path) => !existsSync(path),
)
const MAIN = join(import.meta.dir, "main.ts")

interface Running {
  process: Bun.Subprocess<"ignore", "pipe", "pipe">
  url: string
  printed: () => string
}

/** Starts main.ts on a free port and waits until it prints its address. */
async function start(...flags: string[]): Promise<Running> {
  const child = Bun.spawn(
    [process.execPath, MAIN, "--port", "0", "-m", TINY, "--ctx", "4096", ...flags],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  )
  let printed = ""
  const found = Promise.withResolvers<string>()
  void (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) {
      printed += decoder.decode(chunk, { stream: true })
      const url = /serving +(http:\S+)/.exec(printed)?.[1]
      if (url !== undefined) found.resolve(url)
    }
    found.reject(new Error(`the server ended: ${printed}`))
  })()
  return { process: child, url: await found.promise, printed: () => printed }
}

async function waitReady(url: string): Promise<string[]> {
  const seen: string[] = []
  for (;;) {
    const response = await fetch(`${url}/health`)
    const { status } = (await response.json()) as { status: string }
    if (!seen.includes(status)) seen.push(status)
    if (response.status === 200) return seen
    if (status === "failed") throw new Error("the model could not be loaded")
    await Bun.sleep(5)
  }
}

describe.skipIf(LACKING.length > 0)(
  `the real engine${LACKING.length > 0 ? ` (lacks ${LACKING.join(", ")})` : ""}`,
  () => {
    let server: Running
    let client: OpenAI
    beforeAll(async () => {
      server = await start("--quiet")
      await waitReady(server.url)
      client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 })
    }, 60_000)
    afterAll(() => server?.process.kill("SIGKILL"))

    const request = {
      model: "tiny",
      messages: [{ role: "user" as const, content: "Tell me about tides." }],
      max_completion_tokens: 48,
      temperature: 0,
    }

    test("start-up prints address, model, context and memory in at most 15 lines", async () => {
      expect(server.printed()).toMatch(
        /model .*models\/tiny\n[\s\S]*context +4096[\s\S]*memory[\s\S]*ready/,
      )
      expect(server.printed().split("\nready")[0]?.split("\n").length).toBeLessThanOrEqual(15)
    })

    test("greedy answers repeat, and a stream is the whole answer", async () => {
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

    test("a seed repeats a sampled answer; logprobs are those of the chosen tokens", async () => {
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

    test(
      "max_tokens 0 only reads the prompt, and a longer prompt then goes on from " + "there",
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
        expect(longer.usage?.prompt_tokens_details?.cached_tokens).toBe(warmed.usage?.prompt_tokens)
      },
    )

    test("a client that leaves frees the engine", async () => {
      const stream = await client.chat.completions.create({
        ...request,
        stream: true,
        max_completion_tokens: 4000,
      })
      for await (const _ of stream) break
      stream.controller.abort()
      const deadline = performance.now() + 2000
      for (;;) {
        const stats = (await (await fetch(`${server.url}/v1/stats`)).json()) as {
          active: number
          running: number
        }
        if (stats.active + stats.running === 0) break
        expect(performance.now()).toBeLessThan(deadline)
        await Bun.sleep(10)
      }
    })

    test("SIGTERM ends the process with 0", async () => {
      server.process.kill("SIGTERM")
      expect(await server.process.exited).toBe(0)
    })
  },
)

test("a model that is not there ends the process with 3 and says so", async () => {
  const child = Bun.spawn([process.execPath, MAIN, "--port", "0", "-m", "/nowhere/model.gguf"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  })
  expect(await new Response(child.stderr).text()).toContain("cannot load the model: ")
  expect(await child.exited).toBe(3)
}, 30_000)

test("a bad flag ends the process with 2", async () => {
  const child = Bun.spawn([process.execPath, MAIN, "--port", "high"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  })
  expect(await new Response(child.stderr).text()).toContain('--port is "high"')
  expect(await child.exited).toBe(2)
}, 30_000)

test.skipIf(LACKING.length > 0)(
  "a port that is taken ends the process with 1 instead of sharing it",
  async () => {
    using taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("mine") })
    const child = Bun.spawn([process.execPath, MAIN, "--port", String(taken.port)], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    })
    expect(await new Response(child.stderr).text()).toContain("cannot listen on 127.0.0.1")
    expect(await child.exited).toBe(1)
  },
  30_000,
)
