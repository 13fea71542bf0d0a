// Plain numerics are f32 arithmetic without the trained-in roundings. They are compared with the
// recorded vectors of both checkpoints: logits, streams, routes, indexer choices and greedy tokens.
// Both containers and every kernel set are run.
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { machine, type NativeEngine } from "@ds4/engine"
import { TOLERANCE } from "../tolerance.ts"
import { CHECKPOINT_NAMES, CONTAINERS, openCheckpoint, PLACES } from "./support/checkpoints.ts"
import { greedy } from "./support/greedy.ts"
import { largestDifference, Recorded, recordedPrompts } from "./support/recorded.ts"

const KERNEL_SETS = (machine() as { isas: ("generic" | "avx2" | "avx512")[] }).isas
/** Greedy tokens compared; the generic kernels take 27 ms a step, so they take fewer. */
const greedySteps = (isa: string): number => (isa === "generic" ? 8 : 32)

for (const name of CHECKPOINT_NAMES) {
  const recorded = await Recorded.open(`${name}/vectors.safetensors`)
  const prompts = (await recordedPrompts(`${name}/vectors.json`)).map((prompt) => prompt.name)

  for (const container of CONTAINERS) {
    // the other kernel sets run from one container: what they compute does not depend on where the
    // bytes lie
    for (const isa of container === "safetensors" ? KERNEL_SETS : (["auto"] as const)) {
      for (const place of PLACES) {
        describe(`${name} from ${container}, ${isa} kernels, ${place} experts`, () => {
          let engine: NativeEngine
          beforeAll(async () => {
            engine = await openCheckpoint(name, container, {
              numerics: "plain",
              isa,
              experts: { place },
            })
            engine.trace.enable(true)
          })
          afterAll(() => engine.close())

          for (const prompt of prompts) {
            test(`${prompt}: logits, intermediates and greedy tokens`, () => {
              checkPrompt(engine, recorded, prompt, greedySteps(isa))
            })
          }
        })
      }
    }
  }
}

function checkPrompt(
  engine: NativeEngine,
  recorded: Recorded,
  prompt: string,
  steps: number,
): void {
  const ids = recorded.numbers(`${prompt}.input_ids`)
  using session = engine.openSession(4096)
  const logits = engine.step([{ session, tokens: ids, rows: "ALL" }])
  const { vocab } = engine.model
  const last = logits.subarray((ids.length - 1) * vocab)
  expect(largestDifference(last, recorded.numbers(`${prompt}.logits_last_f64`))).toBeLessThan(
    TOLERANCE.plain.logits,
  )
  checkTopLogits(logits, vocab, recorded, prompt)
  if (recorded.has(`${prompt}.logits_all`)) {
    expect(largestDifference(logits, recorded.numbers(`${prompt}.logits_all`))).toBeLessThan(
      TOLERANCE.plain.logits,
    )
  }
  checkIntermediates(engine, recorded, prompt, ids.length)
  expect(greedy(engine, session, last, steps)).toEqual(
    recorded.numbers(`${prompt}.greedy_ids`).slice(0, steps),
  )
}

function checkTopLogits(
  logits: Float32Array,
  vocab: number,
  recorded: Recorded,
  prompt: string,
): void {
  const topIds = recorded.numbers(`${prompt}.top5_ids`)
  const ours = topIds.map((id, i) => logits[Math.floor(i / 5) * vocab + id] ?? NaN)
  expect(largestDifference(ours, recorded.numbers(`${prompt}.top5_logits`))).toBeLessThan(
    TOLERANCE.plain.logits,
  )
}

/** Row `index` of [count, width] values. */
const row = (values: Float32Array, count: number, index: number): Float32Array =>
  values.subarray((values.length / count) * index, (values.length / count) * (index + 1))

function checkIntermediates(
  engine: NativeEngine,
  recorded: Recorded,
  prompt: string,
  length: number,
): void {
  const [layers = 0] = recorded.tensor(`${prompt}.layer_streams`).shape
  const ours = (name: string): Float32Array => engine.trace.read(name)
  const theirs = (name: string, layer: number): Float32Array =>
    row(Float32Array.from(recorded.numbers(`${prompt}.${name}`)), layers, layer)
  for (let layer = 0; layer < layers; layer++) {
    const last = (name: string): Float32Array =>
      row(ours(`layer${layer}.${name}`), length, length - 1)
    for (const [name, key, kind] of [
      ["streams", "layer_streams", "streams"],
      ["mid_streams", "mid_streams", "streams"],
      ["attn_in", "attn_in", "blockInputs"],
      ["attn_out", "attn_out", "blockOutputs"],
      ["ffn_in", "ffn_in", "blockInputs"],
      ["ffn_out", "ffn_out", "blockOutputs"],
    ] as const) {
      expect(largestDifference(last(name), theirs(key, layer)), name).toBeLessThan(
        TOLERANCE.plain[kind],
      )
    }
    const mixes = (kind: "post" | "comb"): number[] => [
      ...last(`attn_${kind}`),
      ...last(`ffn_${kind}`),
    ]
    expect(largestDifference(mixes("post"), theirs("hc_post", layer))).toBeLessThan(
      TOLERANCE.plain.postWeights,
    )
    expect(largestDifference(mixes("comb"), theirs("hc_comb", layer))).toBeLessThan(
      TOLERANCE.plain.combWeights,
    )
    expect(
      largestDifference(last("route_logits"), theirs("route_logits_last", layer)),
    ).toBeLessThan(TOLERANCE.plain.routeLogits)
    checkRoutes(
      ours(`layer${layer}.route_ids`),
      ours(`layer${layer}.route_weights`),
      theirs("route_ids", layer),
      theirs("route_weights", layer),
      length,
    )
    checkSelection(engine, recorded, prompt, layer, length)
  }
  expect(
    largestDifference(
      row(ours("hidden"), length, length - 1),
      recorded.numbers(`${prompt}.hidden_last`),
    ),
  ).toBeLessThan(TOLERANCE.plain.hidden)
  expect(
    largestDifference(
      row(ours("hc_head"), length, length - 1),
      recorded.numbers(`${prompt}.hc_head_last`),
    ),
  ).toBeLessThan(TOLERANCE.plain.collapsed)
}

/** Routes of every position: recorded ascending by id, ours in the order of choice. */
function checkRoutes(
  ids: Float32Array,
  weights: Float32Array,
  expectedIds: Float32Array,
  expectedWeights: Float32Array,
  length: number,
): void {
  const used = ids.length / length
  const sorted = [...ids.keys()].sort(
    (a, b) => Math.floor(a / used) - Math.floor(b / used) || (ids[a] ?? 0) - (ids[b] ?? 0),
  )
  expect(sorted.map((i) => ids[i] ?? -1)).toEqual([...expectedIds])
  expect(
    largestDifference(
      sorted.map((i) => weights[i] ?? NaN),
      expectedWeights,
    ),
  ).toBeLessThan(TOLERANCE.plain.routeWeights)
}

function checkSelection(
  engine: NativeEngine,
  recorded: Recorded,
  prompt: string,
  layer: number,
  length: number,
): void {
  const key = `${prompt}.layer${layer}.index_selected`
  if (!recorded.has(key)) return
  const [, topK = 0] = recorded.tensor(key).shape
  const expected = recorded.numbers(key)
  const ours = engine.trace.read(`layer${layer}.index_selected`)
  // our trace holds the queries that see more entries than they may keep, which are the last ones
  // of the prompt
  const queries = topK === 0 ? 0 : ours.length / topK
  expect([...ours]).toEqual(expected.slice((length - queries) * topK))
  for (let t = 0; t < length - queries; t++) {
    const visible = Math.min(Math.floor((t + 1) / 4), topK)
    const all = Array.from({ length: topK }, (_, i) => (i < visible ? i : -1))
    expect(expected.slice(t * topK, (t + 1) * topK)).toEqual(all)
  }
  if (queries > 0) {
    expect(
      largestDifference(
        engine.trace.read(`layer${layer}.index_scores`),
        recorded.numbers(`${prompt}.layer${layer}.index_scores_last`),
      ),
    ).toBeLessThan(TOLERANCE.plain.indexScores)
  }
  const tail = recorded.numbers(`${prompt}.layer${layer}.compressed_tail`)
  expect(
    largestDifference(engine.trace.read(`layer${layer}.compressed`).slice(-tail.length), tail),
  ).toBeLessThan(TOLERANCE.plain.compressed)
}
