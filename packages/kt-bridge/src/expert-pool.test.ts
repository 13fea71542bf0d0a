import { afterAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { ExpertPool, ExpertPoolError, type ExpertShape, type ForwardInput } from "./index.ts"
import { decodeMatrix, referenceForward, relativeError, tensorReader } from "./testing/reference.ts"

const folder = join(import.meta.dir, "../../../models/tiny")
const shape: ExpertShape = {
  experts: 8,
  expertsPerToken: 2,
  hidden: 256,
  moeIntermediateSize: 256,
  swigluLimit: 10,
}
const tensor = await tensorReader(folder)

function call(tokens: number, seed = 1): ForwardInput {
  let state = seed
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647
  return {
    input: Float32Array.from(
      { length: tokens * shape.hidden },
      () => (random() + random() + random() + random() - 2) * 3,
    ),
    ids: Int32Array.from({ length: tokens * 2 }, (_, i) =>
      i % 9 === 4 ? -1 : Math.floor(random() * 8),
    ),
    weights: Float32Array.from({ length: tokens * 2 }, () => random() + 0.1),
  }
}

const decoded = new Map<string, Float64Array>()
function weights(layer: number, expert: number, name: string): Float64Array {
  const base = `layers.${layer}.ffn.experts.${expert}.${name}`
  let matrix = decoded.get(base)
  if (matrix === undefined)
    decoded.set(base, (matrix = decodeMatrix(tensor(`${base}.weight`), tensor(`${base}.scale`))))
  return matrix
}

const code = async (body: () => unknown): Promise<string> => {
  try {
    await body()
    return "no error"
  } catch (error) {
    return error instanceof ExpertPoolError ? `${error.code}: ${error.message}` : String(error)
  }
}

describe("the tiny model's experts", () => {
  const pool = ExpertPool.open({ threads: 2, nodes: [0, 0], spinUs: 0 })
  afterAll(() => pool.close())
  const seen: number[] = []
  const loading = pool.load({
    folder,
    layers: [0, 3, 5],
    shape,
    onProgress: ({ doneBytes }) => seen.push(doneBytes),
  })

  test("agree with float64, for one token and for many", async () => {
    for (const layer of await loading) {
      for (const tokens of [1, 5, 23]) {
        const asked = call(tokens)
        const expected = referenceForward(
          (expert, name) => weights(layer.layer, expert, name),
          shape,
          asked,
        )
        // int8; measured 1.1e-2
        expect(relativeError(layer.forward(asked), expected)).toBeLessThan(2e-2)
      }
    }
  })

  test("report progress in weight bytes", async () => {
    await loading
    expect(seen.at(-1)).toBe((3 * 8 * 3 * 256 * 256 * 17) / 32)
  })

  test("come back out byte for byte", async () => {
    const [layer] = await loading
    for (const name of ["w1", "w2", "w3"] as const) {
      const { codes, scales } = layer?.exportExpert(6, name) ?? {
        codes: undefined,
        scales: undefined,
      }
      expect(codes).toEqual(new Uint8Array(tensor(`layers.0.ffn.experts.6.${name}.weight`)))
      expect(scales).toEqual(new Uint8Array(tensor(`layers.0.ffn.experts.6.${name}.scale`)))
    }
  })

  test("submitted calls give what blocking calls give, in any number at once", async () => {
    const [layer] = await loading
    if (layer === undefined) throw new Error("no layer")
    const calls = Array.from({ length: 12 }, (_, i) => call(1 + (i % 3) * 6, i + 1))
    const outputs = await Promise.all(calls.map((asked) => layer.submit(asked)))
    Bun.gc(true)
    calls.forEach((asked, i) => expect(outputs[i]).toEqual(layer.forward(asked)))
  })

  test("are described", async () => {
    await loading
    const stats = pool.stats()
    expect(stats.layers).toBe(3)
    expect(stats.parts.map((part) => part.weightBytes)).toEqual([3 * 8 * 52224, 3 * 8 * 52224])
    expect(stats.workers).toBe(2)
    expect(stats.numerics).toBe("int8")
    expect(stats.calibration.length).toBe(stats.isa === "generic" ? 0 : 1)
    for (const { gateUp, hidden, kernels, trials, excluded, us } of stats.calibration) {
      expect([gateUp, hidden, kernels[0]?.fromTokens, excluded]).toEqual(["MXFP4", 256, 1, []])
      expect(trials.length > 0 && trials.every((trial) => trial.us >= 0) && us > 0).toBe(true)
    }
  })

  test("refuse wrong calls and stay usable", async () => {
    const [layer] = await loading
    if (layer === undefined) throw new Error("no layer")
    const good = call(2)
    expect(await code(() => layer.forward({ ...good, input: good.input.subarray(1) }))).toContain(
      "ARGUMENT: input has 511 values; expected a multiple of hidden 256",
    )
    expect(await code(() => layer.forward({ ...good, ids: good.ids.subarray(1) }))).toContain(
      "2 tokens need 4 ids and weights; got 3 and 4",
    )
    expect(await code(() => layer.submit({ ...good, ids: Int32Array.of(0, 1, 2, 8) }))).toContain(
      "expert id 8 of token 1 is outside 0..7",
    )
    expect(await code(() => layer.exportExpert(8, "w1"))).toContain(
      "ARGUMENT: layer 0: expert 8 is outside 0..7",
    )
    expect(layer.forward(good)).toEqual(layer.forward(good))
    expect(layer.forward(call(0))).toHaveLength(0)
  })
})

test("wrong folders, shapes and options are refused by name", async () => {
  using pool = ExpertPool.open({ threads: 1 })
  expect(
    await code(() => pool.load({ folder: join(folder, "none"), layers: [0], shape })),
  ).toContain("FORMAT: cannot open folder")
  expect(await code(() => pool.load({ folder, layers: [6], shape }))).toContain(
    "FORMAT: tensor layers.6.ffn.experts.0.w1.weight is missing",
  )
  expect(
    await code(() =>
      pool.load({ folder, layers: [0], shape: { ...shape, moeIntermediateSize: 384 } }),
    ),
  ).toContain("is I8 [256, 128]; expected I8 or U8 [384, 128]")
  expect(
    await code(() => pool.load({ folder, layers: [0], shape: { ...shape, hidden: 100 } })),
  ).toContain("ARGUMENT: hidden_size is 100")
  expect(
    await code(() => pool.load({ folder, layers: [0], shape: { ...shape, experts: 1.5 } })),
  ).toContain("ARGUMENT: experts is 1.5")
  expect(await code(() => ExpertPool.open({ threads: 0 }))).toContain(
    'ARGUMENT: options: "threads" is 0',
  )
  expect(await code(() => pool.load({ folder: `${folder}\0x`, layers: [0], shape }))).toContain(
    "NUL",
  )
  const [layer] = await pool.load({ folder, layers: [0], shape }) // still usable
  expect(layer?.forward(call(1))).toHaveLength(256)
})

test("every numerics and instruction set agrees with float64", async () => {
  const asked = call(9)
  const expected = referenceForward((expert, name) => weights(2, expert, name), shape, asked)
  for (const [numerics, bound] of [
    ["int8", 2e-2], // measured 9.9e-3
    ["bf16", 5e-3], // measured 2.8e-3
    ["fp8ref", 7e-2], // measured 5.0e-2
    ["f32", 4.9e-7], // measured 1.7e-7
  ] as const) {
    for (const isa of ["auto", "generic"] as const) {
      using pool = ExpertPool.open({ threads: 1, numerics, isa })
      const [layer] = await pool.load({ folder, layers: [2], shape })
      expect(relativeError(layer?.forward(asked) ?? new Float32Array(), expected)).toBeLessThan(
        bound,
      )
    }
  }
})

test(
  "a closed pool and its layers refuse work; closing twice is fine; the self test " + "passes",
  async () => {
    const pool = ExpertPool.open({ threads: 1, spinUs: 0 })
    pool.selfTest()
    const loading = pool.load({ folder, layers: [0], shape })
    expect(await code(() => pool.close())).toContain("STATE: the pool is loading")
    expect(await code(() => pool.load({ folder, layers: [1], shape }))).toContain(
      "STATE: the pool is already loading",
    )
    const [layer] = await loading
    pool.close()
    pool.close()
    expect(await code(() => layer?.forward(call(1)))).toContain("STATE: layer 0 is closed")
    expect(await code(() => pool.stats())).toContain("STATE: the pool is closed")
  },
)
