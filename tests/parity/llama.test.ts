// The same GGUF runs in llama.cpp, an engine that shares no code with ours. llama.cpp leaves out
// the FP8 and FP4 roundings of cache rows. So plain numerics are compared, with its caches in F32.
import { expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openEngine, type NativeEngine, type RecipeName } from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"
import { TOLERANCE } from "../tolerance.ts"
import {
  CHECKPOINT_NAMES,
  ggufOf,
  PLACES,
  type CheckpointName,
  type Place,
} from "./support/checkpoints.ts"
import { greedy } from "./support/greedy.ts"
import { writeDecoded, writeWithGgmlExperts, type GgmlExpertType } from "./support/ggml-types.ts"
import { runLlama, type LlamaResult } from "./support/llama.ts"
import { argmax } from "./support/recorded.ts"

setDefaultTimeout(120_000)

const folder = mkdtempSync(join(tmpdir(), "ds4-llama-test-"))
const GREEDY_STEPS = 16
/**
 * More entries than either checkpoint's top-k from position 36 and 100 on: the indexer has to
 * choose.
 */
const LENGTH = 140
const RECIPES: Readonly<Record<CheckpointName, readonly RecipeName[]>> = {
  "tiny-a": ["lossless", "mainline", "q8", "f16", "f32"],
  "tiny-b": ["lossless", "mainline"],
}
const GGML_TYPES: readonly GgmlExpertType[] = ["Q2_K", "Q4_K", "IQ2_XXS"]

const prompt = (vocab: number, length: number): number[] =>
  Array.from({ length }, (_, i) => (i * 7919 + ((i * i) % 97) * 31 + 5) % vocab)

for (const name of CHECKPOINT_NAMES) {
  for (const recipe of RECIPES[name]) {
    test(`${name}, ${recipe}: logits and greedy tokens as llama.cpp's`, async () => {
      await compare(await ggufOf(name, recipe), isPacked(recipe) ? PLACES : ["mapped"], name)
    })
  }
  for (const type of GGML_TYPES) {
    test(`${name}, ${type} experts: logits and greedy tokens as llama.cpp's`, async () => {
      await compare(await ggmlModel(name, type), PLACES, name)
    })
  }
}

async function ggmlModel(name: CheckpointName, type: GgmlExpertType): Promise<string> {
  const target = join(folder, `${name}-${type}.gguf`)
  await writeWithGgmlExperts(name, type, target)
  return target
}

/** Types of experts that the expert library holds; it has no use for the wider ones. */
const isPacked = (recipe: RecipeName): boolean => recipe !== "f16" && recipe !== "f32"

async function compare(
  path: string,
  places: readonly Place[],
  name: CheckpointName,
): Promise<void> {
  const decoded = join(folder, `${Bun.randomUUIDv7()}.gguf`)
  await writeDecoded(path, decoded)
  const { config } = await openModelFile(path)
  const ids = prompt(config.vocab, LENGTH)
  // llama.cpp rounds activations to 8 bits for quantised weights. Its own distance to the same
  // weights in F32 is the spread that we may show against it.
  const [quantised, exact] = [
    await runLlama(path, ids, 0),
    await runLlama(decoded, ids, GREEDY_STEPS),
  ]
  expect(exact.vocab).toBe(config.vocab)
  for (const place of places)
    await compareEngine(path, place, ids, quantised, exact, TOLERANCE.llamaLogits[name])
}

async function compareEngine(
  path: string,
  place: Place,
  ids: readonly number[],
  quantised: LlamaResult,
  exact: LlamaResult,
  tolerance: number,
): Promise<void> {
  const engine = await openEngine(await openModelFile(path), undefined, {
    numerics: "plain",
    experts: { place },
  })
  try {
    const { vocab } = engine.model
    engine.trace.enable(true)
    using session = engine.openSession(1024)
    const logits = engine.step([{ session, tokens: ids, rows: "ALL" }])
    expect(selections(engine)).toBeGreaterThan(0)
    const toExact = distance(logits, exact.logits, vocab)
    const toQuantised = distance(logits, quantised.logits, vocab)
    const spread = distance(exact.logits, quantised.logits, vocab)
    console.log(
      `${path.split("/").at(-1) ?? path}, ${place}: to llama.cpp in f32 ${show(toExact)}; to ` +
        `llama.cpp as stored ${show(toQuantised)}; its own spread ${show(spread)}`,
    )
    expect(toExact.worst).toBeLessThan(tolerance)
    expect(toExact.agreement).toBe(1)
    expect(toQuantised.median).toBeLessThan(spread.median + TOLERANCE.llamaMedian)
    expect(
      greedy(engine, session, logits.subarray((ids.length - 1) * vocab), GREEDY_STEPS),
    ).toEqual([...exact.greedy])
  } finally {
    await engine.close()
  }
}

const show = ({ median, worst, agreement }: Distance): string =>
  `${median.toExponential(1)} (worst ${worst.toExponential(1)}, top-1 ` +
  `${(agreement * 100).toFixed(1)} %)`

const selections = (engine: NativeEngine): number =>
  [...engine.trace.names()].filter(([key, count]) => key.endsWith("index_selected") && count > 0)
    .length

/**
 * Largest logit difference of a row over the deviation of its logits: median and worst over rows;
 * share of equal argmax.
 */
interface Distance {
  readonly median: number
  readonly worst: number
  readonly agreement: number
}

function distance(ours: Float32Array, theirs: Float32Array, vocab: number): Distance {
  const perRow: number[] = []
  let agreed = 0
  for (let at = 0; at < ours.length; at += vocab) {
    const a = ours.subarray(at, at + vocab)
    const b = theirs.subarray(at, at + vocab)
    const mean = b.reduce((sum, value) => sum + value, 0) / vocab
    const deviation = Math.sqrt(b.reduce((sum, value) => sum + (value - mean) ** 2, 0) / vocab)
    perRow.push(
      a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] ?? NaN))), 0) /
        deviation,
    )
    if (argmax(a) === argmax(b)) agreed++
  }
  perRow.sort((a, b) => a - b)
  return {
    worst: perRow.at(-1) ?? NaN,
    median: perRow[perRow.length >> 1] ?? NaN,
    agreement: agreed / perRow.length,
  }
}
