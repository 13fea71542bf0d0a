// How generations of one engine disturb each other: a question and a stream beside a long document.
// Run: bun packages/engine/bench/serving.ts [MODEL] [DOCUMENT_TOKENS]   (default: the demo, 4000)
import { join } from "node:path"
import { openModelFile } from "@ds4/model-file"
import { openEngine } from "../src/index.ts"

const [path = join(import.meta.dir, "../../../models/demo"), documentTokens = "4000"] =
  process.argv.slice(2)
const file = await openModelFile(path)
const engine = await openEngine(file, undefined, { contextTokens: 65_536, maxSessions: 4 })

const prompt = (count: number): number[] =>
  Array.from({ length: count }, (_, index) => 300 + ((index * 7919) % (file.config.vocab - 300)))

/** Milliseconds to the first token. */
async function firstToken(tokens: number): Promise<number> {
  const begin = performance.now()
  for await (const event of engine.generate({
    promptTokens: prompt(tokens),
    maxTokens: 1,
    sampling: { temperature: 0 },
    stopTokens: [],
  }))
    if (event.type === "tokens") return performance.now() - begin
  throw new Error("no token came")
}

async function median(measure: () => Promise<number>): Promise<number> {
  const values: number[] = []
  for (let run = 0; run < 5; run++) values.push(await measure())
  return values.sort((a, b) => a - b)[2] ?? NaN
}

let streamed = 0
const stop = new AbortController()
/** One answer after another: a small model's context is soon full. */
async function stream(): Promise<void> {
  while (!stop.signal.aborted)
    for await (const event of engine.generate({
      promptTokens: prompt(10),
      maxTokens: 4_000,
      sampling: { temperature: 0 },
      stopTokens: [],
      signal: stop.signal,
    }))
      if (event.type === "tokens") streamed += event.tokens.length
}

/** Tokens a second of the stream while `work` lasts. */
async function rateDuring(work: Promise<unknown>): Promise<number> {
  const before = streamed
  const begin = performance.now()
  await work
  return ((streamed - before) * 1000) / (performance.now() - begin)
}

const document = (): Promise<number> => firstToken(Number(documentTokens))
await firstToken(10)
const questionMs = await median(() => firstToken(10))
const documentMs = await median(document)
const behindMs = await median(async () => {
  const reading = document()
  await Bun.sleep(documentMs / 4)
  const waited = await firstToken(10)
  await reading
  return waited
})
const streaming = stream()
while (streamed === 0) await Bun.sleep(5)
const aloneRate = await median(() => rateDuring(Bun.sleep(1000)))
const besideRate = await median(() => rateDuring(document()))
const besideMs = await median(document)
stop.abort()
await streaming
await engine.close()
console.log(
  `question ${questionMs.toFixed(1)} ms alone, ${behindMs.toFixed(1)} ms behind a document of ` +
    `${documentTokens} tokens; stream ${aloneRate.toFixed(0)} tokens/s alone, ` +
    `${besideRate.toFixed(0)} beside it; document ${documentMs.toFixed(0)} ms alone, ` +
    `${besideMs.toFixed(0)} ms beside a stream`,
)
