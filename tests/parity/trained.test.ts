// Trained numerics are f32 arithmetic with exactly the roundings of cache and index rows. A
// rounding now and then turns f32 noise into a step of several percent of one channel. So the
// recorded spread of simulated f32 engines bounds each position, and choices count only where their
// margin is safe.
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { NativeEngine } from "@ds4/engine"
import { TOLERANCE } from "../tolerance.ts"
import { CHECKPOINT_NAMES, CONTAINERS, openCheckpoint, PLACES } from "./support/checkpoints.ts"
import {
  argmax,
  largestDifference,
  Recorded,
  recordedPrompts,
  type RecordedPrompt,
} from "./support/recorded.ts"

/** Prompts chosen so that f32 noise turns no rounding. */
const STABLE = new Set(["s12", "s8"])

for (const name of CHECKPOINT_NAMES) {
  const recorded = await Recorded.open(`${name}/vectors-trained.safetensors`)
  const prompts = await recordedPrompts(`${name}/vectors-trained.json`)
  for (const [container, place] of CONTAINERS.flatMap((each) =>
    PLACES.map((place) => [each, place] as const),
  )) {
    describe(`${name} from ${container}, ${place} experts, trained roundings`, () => {
      let engine: NativeEngine
      beforeAll(async () => {
        engine = await openCheckpoint(name, container, { numerics: "trained", experts: { place } })
        engine.trace.enable(true)
      })
      afterAll(() => engine.close())
      for (const prompt of prompts) {
        test(`${prompt.name}: logits within the recorded spread, safe choices exact`, () => {
          checkPrompt(engine, recorded, prompt)
        })
      }
    })
  }
}

function checkPrompt(
  engine: NativeEngine,
  recorded: Recorded,
  { name, float32_spread }: RecordedPrompt,
): void {
  const ids = recorded.numbers(`${name}.input_ids`)
  using session = engine.openSession(4096)
  const logits = engine.step([{ session, tokens: ids, rows: "ALL" }])
  const last = logits.subarray((ids.length - 1) * engine.model.vocab)
  const toLast = largestDifference(last, recorded.numbers(`${name}.logits_last_f64`))
  if (STABLE.has(name)) expect(toLast).toBeLessThan(TOLERANCE.trainedStable)
  checkSpread(logits, engine.model.vocab, recorded, name, toLast)
  checkChoices(engine, recorded, name, ids.length)
  const [layers = 0, , hidden = 0] = recorded.tensor(`${name}.layer_streams`).shape
  const streams = recorded.numbers(`${name}.layer_streams`)
  const bound = TOLERANCE.trainedSpreads * (float32_spread?.last_streams ?? NaN)
  for (let layer = 0; layer < layers; layer++) {
    const width = streams.length / layers
    const ours = engine.trace.read(`layer${layer}.streams`).slice(-width)
    expect(largestDifference(ours, streams.slice(layer * width, (layer + 1) * width))).toBeLessThan(
      bound,
    )
  }
  expect(hidden).toBeGreaterThan(0)
  checkGreedy(engine, session, recorded, name, last)
}

function checkSpread(
  logits: Float32Array,
  vocab: number,
  recorded: Recorded,
  name: string,
  toLast: number,
): void {
  const spread = recorded.numbers(`${name}.spread`)
  const ids = recorded.numbers(`${name}.top5_ids`)
  const expected = recorded.numbers(`${name}.top5_logits`)
  const bound = (t: number): number => TOLERANCE.trainedSpreads * (spread[t] ?? NaN)
  const beyond = [...spread.keys()].filter((t) =>
    [0, 1, 2, 3, 4].some(
      (i) =>
        !(
          Math.abs(
            (logits[t * vocab + (ids[t * 5 + i] ?? 0)] ?? NaN) - (expected[t * 5 + i] ?? NaN),
          ) <= bound(t)
        ),
    ),
  )
  expect(beyond).toEqual([])
  expect(toLast).toBeLessThanOrEqual(bound(spread.length - 1))
}

function checkChoices(
  engine: NativeEngine,
  recorded: Recorded,
  name: string,
  length: number,
): void {
  const [layers = 0, , used = 0] = recorded.tensor(`${name}.route_ids`).shape
  const expected = recorded.numbers(`${name}.route_ids`)
  const safe = recorded.numbers(`${name}.route_safe`)
  let compared = 0
  for (let layer = 0; layer < layers; layer++) {
    const ids = engine.trace.read(`layer${layer}.route_ids`)
    for (let t = 0; t < length; t++) {
      if (safe[layer * length + t] !== 1) continue
      const at = (layer * length + t) * used
      expect(Array.from(ids.slice(t * used, (t + 1) * used)).sort((a, b) => a - b)).toEqual(
        expected.slice(at, at + used),
      )
      compared++
    }
    checkSelection(engine, recorded, `${name}.layer${layer}`, layer, length)
  }
  expect(compared).toBeGreaterThan(0)
}

function checkSelection(
  engine: NativeEngine,
  recorded: Recorded,
  prefix: string,
  layer: number,
  length: number,
): void {
  if (!recorded.has(`${prefix}.index_selected`)) return
  const [, topK = 0] = recorded.tensor(`${prefix}.index_selected`).shape
  const expected = recorded.numbers(`${prefix}.index_selected`)
  const safe = recorded.numbers(`${prefix}.index_safe`)
  const ours = engine.trace.read(`layer${layer}.index_selected`)
  const first = length - (topK === 0 ? 0 : ours.length / topK)
  for (let t = first; t < length; t++) {
    if (safe[t] !== 1) continue
    expect(Array.from(ours.slice((t - first) * topK, (t - first + 1) * topK))).toEqual(
      expected.slice(t * topK, (t + 1) * topK),
    )
  }
}

/** Greedy tokens where the margin is safe; after an unsafe step the recorded token goes on. */
function checkGreedy(
  engine: NativeEngine,
  session: ReturnType<NativeEngine["openSession"]>,
  recorded: Recorded,
  name: string,
  first: Float32Array,
): void {
  const expected = recorded.numbers(`${name}.greedy_ids`)
  const safe = recorded.numbers(`${name}.greedy_safe`)
  let logits = first
  for (const [step, id] of expected.entries()) {
    if (safe[step] === 1) expect(argmax(logits)).toBe(id)
    logits = engine.step([{ session, tokens: [id], rows: "LAST" }])
  }
}
