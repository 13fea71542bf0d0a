// Child process of real-size.test.ts: opens a model, computes one token, prints what it took as one
// JSON line.
import { expertsText, openEngine } from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"

const [path = "", place = "auto"] = process.argv.slice(2)
if (place !== "auto" && place !== "packed") throw new Error(`no place for experts: ${place}`)
const started = performance.now()

async function memory(): Promise<Record<string, number>> {
  const status = await Bun.file("/proc/self/status").text()
  const kib = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? NaN)
  return {
    peakBytes: kib("VmHWM") * 1024,
    anonymousBytes: kib("RssAnon") * 1024,
    mappedBytes: kib("RssFile") * 1024,
  }
}

const file = await openModelFile(path)
const engine = await openEngine(file, undefined, {
  numerics: "fast",
  contextTokens: 4096,
  experts: { place },
})
const openMs = performance.now() - started
const session = engine.openSession(4096)
const logits = engine.step([{ session, tokens: [1], rows: "LAST" }])
const tokenMs = performance.now() - started - openMs
const finite = logits.every((value) => Number.isFinite(value))
const distinct = new Set(logits).size
const description = engine.describe()
const dense = description.dense as { readonly place: string; readonly bytes?: number }
console.log(
  JSON.stringify({
    layers: file.config.layers,
    vocab: file.config.vocab,
    fileBytes: file.files.reduce((sum, { bytes }) => sum + bytes, 0),
    tensors: file.tensors.length,
    finite,
    distinct,
    logits: logits.length,
    experts: expertsText(description),
    packedDenseBytes: dense.bytes ?? 0,
    openMs,
    tokenMs,
    ...(await memory()),
  }),
)
session.close()
await engine.close()
