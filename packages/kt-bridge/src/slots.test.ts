// Layers that have some of their experts, and layers over the same weights.
import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import {
  ExpertPool,
  ExpertPoolError,
  type ExpertLayer,
  type ExpertShape,
  type ExpertWeights,
  type ForwardInput,
  type LoadOptions,
} from "./index.ts"
import { tensorReader } from "./testing/reference.ts"

const folder = join(import.meta.dir, "../../../models/tiny")
const shape: ExpertShape = {
  experts: 8,
  expertsPerToken: 2,
  hidden: 256,
  moeIntermediateSize: 256,
  swigluLimit: 10,
}
const tensor = await tensorReader(folder)
const EXPERT_BYTES = (3 * 256 * 256 * 17) / 32

/** Tokens that go to these experts in turns. */
function call(tokens: number, experts: readonly number[]): ForwardInput {
  return {
    input: Float32Array.from({ length: tokens * 256 }, (_, i) => Math.sin(i * 0.7) * 3),
    ids: Int32Array.from({ length: tokens * 2 }, (_, i) => experts[i % experts.length] ?? -1),
    weights: Float32Array.from({ length: tokens * 2 }, (_, i) => 0.25 + (i % 3) / 4),
  }
}

/** Bytes of an expert of layer 0, as a GPU's copy would be. */
function weightsOf(expert: number): ExpertWeights {
  const matrix = (name: string) => ({
    codes: new Uint8Array(tensor(`layers.0.ffn.experts.${expert}.${name}.weight`)),
    scales: new Uint8Array(tensor(`layers.0.ffn.experts.${expert}.${name}.scale`)),
  })
  return { w1: matrix("w1"), w2: matrix("w2"), w3: matrix("w3") }
}

const refusal = async (body: () => unknown): Promise<string> => {
  try {
    await body()
    return "no error"
  } catch (error) {
    return error instanceof ExpertPoolError ? `${error.code}: ${error.message}` : String(error)
  }
}

async function loaded(pool: ExpertPool, options: Partial<LoadOptions> = {}): Promise<ExpertLayer> {
  const [layer] = await pool.load({ folder, layers: [0], shape, ...options })
  if (layer === undefined) throw new Error("no layer")
  return layer
}

describe("layers with some of their experts", () => {
  test(
    "compute what whole layers compute, take the memory of their slots and refuse other " +
      "experts",
    async () => {
      using pool = ExpertPool.open({ threads: 2, nodes: [0, 0], spinUs: 0 })
      const whole = await loaded(pool)
      const seen: number[] = []
      const [some, other] = await pool.load({
        folder,
        layers: [0, 3],
        shape,
        experts: (layer) => (layer === 0 ? [6, 1, 2] : [4]),
        onProgress: ({ doneBytes }) => seen.push(doneBytes),
      })
      if (some === undefined) throw new Error("no layer")
      expect(seen.at(-1)).toBe(4 * EXPERT_BYTES)
      expect(whole.slots()).toEqual(Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7))
      expect(some.slots()).toEqual(Int32Array.of(-1, 1, 2, -1, -1, -1, 0, -1))
      expect(other?.slots()).toEqual(Int32Array.of(-1, -1, -1, -1, 0, -1, -1, -1))
      for (const tokens of [1, 9])
        expect(some.forward(call(tokens, [1, 6, 2, -1]))).toEqual(
          whole.forward(call(tokens, [1, 6, 2, -1])),
        )
      expect(await refusal(() => some.forward(call(2, [1, 3])))).toContain(
        "ARGUMENT: layer 0: expert 3 of token 0 has no slot: 3 of 8 experts are here",
      )
      expect(await refusal(() => some.submit(call(2, [1, 3])))).toContain(
        "expert 3 of token 0 has no slot",
      )
      expect(await refusal(() => some.exportExpert(0, "w1"))).toContain(
        "STATE: layer 0: expert 0 has no slot",
      )
      const stats = pool.stats()
      expect(stats.slots).toEqual([
        { layer: 0, slots: 3, experts: 8 },
        { layer: 3, slots: 1, experts: 8 },
      ])
      expect(stats.parts.reduce((sum, part) => sum + part.weightBytes, 0)).toBe(
        (8 + 3 + 1) * EXPERT_BYTES,
      )
    },
  )

  test("exchange experts between calls, whatever is waited for", async () => {
    using pool = ExpertPool.open({ threads: 2, spinUs: 0 })
    const whole = await loaded(pool)
    const layer = await loaded(pool, { experts: [0] })
    const pending: Promise<unknown>[] = []
    const outputs: { expert: number; output: Promise<Float32Array> }[] = []
    for (let here = 0, i = 1; i <= 24; i++) {
      outputs.push({ expert: here, output: layer.submit(call(3, [here])) })
      const next = (here * 5 + i) % 8
      const weights = weightsOf(next)
      pending.push(layer.replaceExpert(here, next, weights))
      for (const { codes, scales } of Object.values(weights))
        for (const bytes of [codes, scales]) bytes?.fill(255) // copied at once
      here = next
    }
    Bun.gc(true)
    await Promise.all(pending)
    for (const { expert, output } of outputs)
      expect(await output).toEqual(whole.forward(call(3, [expert])))
    const here = layer.slots().indexOf(0)
    for (const name of ["w1", "w2", "w3"] as const)
      expect(layer.exportExpert(here, name)).toEqual(whole.exportExpert(here, name))
  })

  test("refuse what cannot be exchanged and stay as they were", async () => {
    using pool = ExpertPool.open({ threads: 1, spinUs: 0 })
    const layer = await loaded(pool, { experts: [2, 5] })
    const expected = layer.forward(call(4, [2, 5]))
    const good = weightsOf(3)
    const changed = (change: (weights: ExpertWeights) => void) => {
      const weights = weightsOf(3)
      change(weights)
      return () => layer.replaceExpert(2, 3, weights)
    }
    for (const [body, message] of [
      [() => layer.replaceExpert(8, 3, good), "ARGUMENT: layer 0: expert 8 is outside 0..7"],
      [() => layer.replaceExpert(2, 0.5, good), "ARGUMENT: layer 0: expert 0.5 is outside 0..7"],
      [
        () => layer.replaceExpert(1, 3, good),
        "ARGUMENT: layer 0: expert 1 cannot leave, for it has no slot",
      ],
      [
        () => layer.replaceExpert(2, 5, weightsOf(5)),
        "ARGUMENT: layer 0: expert 5 cannot enter, for it is in slot 1",
      ],
      [
        changed(({ w3 }) => (w3.codes = w3.codes.subarray(1))),
        "FORMAT: layer 0 expert 3 w3: KTB_FORMAT_FP4 of [256, 256] has 32767 bytes",
      ],
      [
        changed(({ w2 }) => (w2.scales = new Uint8Array(2048).fill(255))),
        "FORMAT: layer 0 expert 3 w2.scale: scale 255 (NaN) at 0",
      ],
      [
        changed(({ w1 }) => delete w1.scales),
        "ARGUMENT: w1: scales of MXFP4 are a Uint8Array (E8M0)",
      ],
      [changed(({ w1 }) => (w1.scales = new Float32Array(2048))), "ARGUMENT: w1: scales of MXFP4"],
      [
        changed((weights) => Object.assign(weights, { w2: undefined })),
        "ARGUMENT: w2: codes are expected as a Uint8Array",
      ],
      [changed(({ w1 }) => (w1.codes = new Uint8Array())), "ARGUMENT: w1: codes are empty"],
    ] as const)
      expect(await refusal(body)).toContain(message)
    expect(layer.forward(call(4, [2, 5]))).toEqual(expected)
    expect(layer.slots()).toEqual(Int32Array.of(-1, -1, 0, -1, -1, 1, -1, -1))
  })

  test("are chosen from experts that there are, each once", async () => {
    using pool = ExpertPool.open({ threads: 1 })
    for (const [experts, message] of [
      [[], "ARGUMENT: layer 0: no experts to keep; expected 1..8"],
      [[8], "ARGUMENT: layer 0: expert 8 is outside 0..7"],
      [[1.5], "expert 1.5 is outside"],
      [[3, 3], "ARGUMENT: layer 0: expert 3 is listed twice"],
    ] as const)
      expect(await refusal(() => loaded(pool, { experts }))).toContain(message)
    expect(pool.stats().layers).toBe(0)
  })
})

describe("layers over the same weights", () => {
  test("give each pool its own arithmetic, and outlive each other", async () => {
    const first = ExpertPool.open({ threads: 2, spinUs: 0 })
    using second = ExpertPool.open({ threads: 1, numerics: "bf16", spinUs: 0 })
    using reference = ExpertPool.open({ threads: 1, numerics: "bf16", spinUs: 0 })
    const source = await loaded(first, { experts: [0, 4] })
    const shared = second.share(source)
    const expected = (await loaded(reference)).forward(call(5, [0, 4]))
    expect([shared.layer, shared.shape, shared.slots()]).toEqual([0, shape, source.slots()])
    const outputs = await Promise.all([
      source.submit(call(5, [0, 4])),
      shared.submit(call(5, [0, 4])),
    ])
    expect(outputs[1]).toEqual(expected)
    expect(outputs[0]).not.toEqual(expected)
    expect(await refusal(() => shared.replaceExpert(0, 1, weightsOf(1)))).toContain(
      "STATE: layer 0 shares its weights with 1 other layers",
    )
    expect(shared.packed(4)).toEqual(source.packed(4))
    first.close()
    expect(shared.forward(call(5, [0, 4]))).toEqual(expected)
    expect(await refusal(() => second.share(source))).toContain("STATE: layer 0 is closed")
    await shared.replaceExpert(0, 1, weightsOf(1))
    expect(shared.slots()[1]).toBe(0)
  })

  test("are refused to a pool that splits the width otherwise", async () => {
    using one = ExpertPool.open({ threads: 1 })
    using two = ExpertPool.open({ threads: 2, nodes: [0, 0] })
    const layer = await loaded(one)
    expect(await refusal(() => two.share(layer))).toContain(
      "ARGUMENT: layer 0: its engine splits the width over 1 parts, this one over 2",
    )
    expect(two.stats().layers).toBe(0)
  })

  test("show where packed bytes lie, part by part", async () => {
    using pool = ExpertPool.open({ threads: 3, nodes: [0, 0, 0], spinUs: 0 })
    const layer = await loaded(pool, { experts: [7, 1] })
    const [seventh, first] = [layer.packed(7), layer.packed(1)]
    expect(seventh.map(({ bytes }) => bytes)).toEqual(
      [0, 128, 128].map((channels) => (channels / 256) * EXPERT_BYTES),
    ) // 256 channels in units of 128
    expect(seventh[0]?.address).toBe(null)
    for (const part of [1, 2])
      expect(Number(first[part]?.address) - Number(seventh[part]?.address)).toBe(EXPERT_BYTES / 2)
    expect(await refusal(() => layer.packed(2))).toContain("STATE: layer 0: expert 2 has no slot")
    expect(await refusal(() => layer.packed(8))).toContain(
      "ARGUMENT: layer 0: expert 8 is outside 0..7",
    )
  })
})
