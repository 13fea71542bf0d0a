// Decode rate inside the engine against decode rate through server and openai client, on
// models/tiny, whose random weights seldom end an answer. Three processes: engine alone, server,
// and this one as the client. Runs alternate, medians are compared.
//   bun bench/decode-overhead.ts [--repeats N] [--tokens N] [--threads N] [--json]
import { join } from "node:path"
import { parseArgs } from "node:util"
import { loadModel } from "@ds4/engine"
import OpenAI from "openai"

const { values } = parseArgs({
  options: {
    repeats: { type: "string", default: "9" },
    tokens: { type: "string", default: "1000" },
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    engine: { type: "boolean", default: false },
  },
})
const repeats = Number(values.repeats)
const maxTokens = Number(values.tokens)
const TINY = join(import.meta.dir, "../../../models/tiny")
const MESSAGES = [{ role: "user" as const, content: "Tell me a long story about the sea." }]

interface Rate {
  tokens: number
  wallMs: number
}

/** Generates greedily inside this process; one line of JSON in gives one out. */
async function engineProcess(): Promise<void> {
  const { engine } = await loadModel(TINY, { threads: Number(values.threads) })
  for await (const line of console) {
    const promptTokens = JSON.parse(line) as number[]
    const begin = performance.now()
    let tokens = 0
    for await (const event of engine.generate({
      promptTokens,
      maxTokens,
      sampling: { temperature: 0 },
    }))
      if (event.type === "tokens") tokens += event.tokens.length
    process.stdout.write(`${JSON.stringify({ tokens, wallMs: performance.now() - begin })}\n`)
  }
  await engine.close()
}

/** Lines that a child writes, as they come. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = parts.pop() ?? ""
    yield* parts
  }
  return undefined
}

async function throughServer(client: OpenAI): Promise<Rate> {
  const begin = performance.now()
  let tokens = 0
  const stream = await client.chat.completions.create({
    model: "tiny",
    messages: MESSAGES,
    max_completion_tokens: maxTokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  })
  for await (const chunk of stream) tokens = chunk.usage?.completion_tokens ?? tokens
  return { tokens, wallMs: performance.now() - begin }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

const rate = ({ tokens, wallMs }: Rate) => (tokens * 1000) / wallMs

type EngineProcess = Bun.Subprocess<"pipe", "pipe", "inherit">
type ServerProcess = Bun.Subprocess<"ignore", "pipe", "inherit">

function startEngine(): EngineProcess {
  const flags = ["--engine", "--tokens", String(maxTokens), "--threads", values.threads]
  return Bun.spawn([process.execPath, import.meta.path, ...flags], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  })
}

function startServer(): ServerProcess {
  const flags = ["-m", TINY, "--port", "0", "--quiet", "--threads", values.threads]
  return Bun.spawn([process.execPath, join(import.meta.dir, "../src/main.ts"), ...flags], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  })
}

/** The server's address, once its model is loaded. */
async function readyUrl(server: ServerProcess): Promise<string> {
  const { value: url = "" } = await linesOf(server.stdout).next()
  while (!(await fetch(`${url}/health`)).ok) await Bun.sleep(50)
  return url
}

async function promptTokens(url: string): Promise<number[]> {
  const body = JSON.stringify({ messages: MESSAGES })
  const template = await fetch(`${url}/apply-template`, { method: "POST", body })
  return ((await template.json()) as { tokens: number[] }).tokens
}

async function compare(): Promise<void> {
  const engine = startEngine()
  const server = startServer()
  try {
    const answers = linesOf(engine.stdout)
    const url = await readyUrl(server)
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" })
    const prompt = await promptTokens(url)
    const inside = async (): Promise<Rate> => {
      void engine.stdin.write(`${JSON.stringify(prompt)}\n`)
      await engine.stdin.flush()
      const line = await answers.next()
      return JSON.parse(line.value ?? "") as Rate
    }
    const rates = { inside: [] as number[], through: [] as number[] }
    let generated = 0
    for (let repeat = -1; repeat < repeats; repeat++) {
      const [alone, served] = [await inside(), await throughServer(client)]
      if (alone.tokens !== served.tokens)
        throw new Error(
          `the engine gave ${alone.tokens} tokens alone and ${served.tokens} behind the server; ` +
            `greedy answers must be equal`,
        )
      generated = alone.tokens
      if (repeat < 0) continue // warm-up
      rates.inside.push(rate(alone))
      rates.through.push(rate(served))
    }
    report(rates, generated)
  } finally {
    engine.kill()
    server.kill("SIGKILL")
  }
}

function report(rates: { inside: number[]; through: number[] }, tokens: number): void {
  const inside = median(rates.inside)
  const through = median(rates.through)
  // Each pair of neighbouring runs saw the same machine; their ratio is steadier than the ratio of
  // the medians.
  const overhead =
    median(rates.inside.map((each, index) => each / (rates.through[index] ?? each))) - 1
  if (values.json) {
    console.log(
      JSON.stringify({
        scenario: "server/decode-overhead",
        tokens,
        repeats,
        tokens_per_second: { inside, through },
        overhead,
        runs: rates,
      }),
    )
    return
  }
  const span = (each: number[]) =>
    `${Math.min(...each).toFixed(0)}..${Math.max(...each).toFixed(0)}`
  console.log(`${tokens} tokens, ${repeats} alternating runs, prompt included`)
  console.log(`inside the engine          ${inside.toFixed(0)} tokens/s (${span(rates.inside)})`)
  console.log(`through server and client  ${through.toFixed(0)} tokens/s (${span(rates.through)})`)
  console.log(
    `overhead                   ${(overhead * 100).toFixed(1)} % (median of neighbouring runs)`,
  )
}

if (values.engine) await engineProcess()
else await compare()
