// Dense matrices packed into strips against the same matrices read from the file. Both round
// activations alike and differ in the order of sums alone.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { openEngine, type EngineOptions, type NativeEngine } from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"
import { ggufOf } from "../parity/support/checkpoints.ts"
import { TOLERANCE } from "../tolerance.ts"

setDefaultTimeout(120_000)

const tokens = (vocab: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (i * 7919 + ((i * i) % 97) * 31 + 5) % vocab)

async function open(options: EngineOptions = {}): Promise<NativeEngine> {
  const file = await openModelFile(await ggufOf("tiny-a", "mainline"))
  return await openEngine(file, undefined, { threads: 1, ...options })
}

function logits(engine: NativeEngine, chunk: number, count = 150): Float32Array {
  using session = engine.openSession(512)
  const all = tokens(engine.model.vocab, count)
  const parts: number[] = []
  for (let begin = 0; begin < all.length; begin += chunk)
    for (const value of engine.step([
      { session, tokens: all.slice(begin, begin + chunk), rows: "ALL" },
    ]))
      parts.push(value)
  return new Float32Array(parts)
}

function distance(a: Float32Array, b: Float32Array): number {
  let difference = 0
  let size = 0
  for (const [i, value] of a.entries()) {
    difference += (value - (b[i] ?? NaN)) ** 2
    size += value ** 2
  }
  return Math.sqrt(difference / size)
}

let packed: NativeEngine
let mapped: NativeEngine
beforeAll(async () => {
  packed = await open()
  mapped = await open({ switches: { mappedDense: true } })
})
afterAll(async () => {
  await packed.close()
  await mapped.close()
})

test("the description tells where dense matrices lie, and why", () => {
  const place = packed.describe()["isa"] === "avx512" ? "packed" : "mapped"
  expect(packed.describe()["dense"]).toMatchObject({ place })
  expect(mapped.describe()["dense"]).toEqual({ place: "mapped", reason: "asked for" })
})

test("packed and mapped matrices give logits that differ by roundings of sums alone", async () => {
  // The coarse roundings of cache rows would turn a last bit into a whole step.
  const switches = { noKvRounding: true, noIndexRounding: true }
  const one = await open({ switches })
  const other = await open({ switches: { ...switches, mappedDense: true } })
  expect(distance(logits(other, 7, 7), logits(one, 7, 7))).toBeLessThan(TOLERANCE.packedDense)
  await one.close()
  await other.close()
})

test("packed matrices give the same bits for any split and number of threads", async () => {
  const expected = logits(packed, 512)
  for (const chunk of [1, 3, 6, 7, 16, 33]) expect(logits(packed, chunk)).toEqual(expected)
  for (const threads of [2, 3]) {
    const engine = await open({ threads })
    expect(logits(engine, 64)).toEqual(expected)
    await engine.close()
  }
})

test("plain numerics pack nothing", async () => {
  const engine = await open({ numerics: "plain" })
  expect(engine.describe()["dense"]).toEqual({ place: "mapped", reason: "activations are f32" })
  await engine.close()
})
