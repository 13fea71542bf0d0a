// Routed experts that are packed in the expert library are compared with the same experts mapped
// from the file. Logits differ by the rounding of the chosen arithmetic alone. Then follows
// everything that can stand in the way of packing.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  EngineError,
  expertOptions,
  expertsText,
  nativeConvertRows,
  openEngine,
  quantize,
  type EngineOptions,
  type ExpertFlags,
  type ExpertOptions,
} from "@ds4/engine"
import { buildOldestShim, buildKtKernelShim, canBuildShim } from "@ds4/kt-bridge/testing"
import { ModelFileError, openModelFile, withExpertWeights } from "@ds4/model-file"
import {
  CHECKPOINT_NAMES,
  CHECKPOINTS,
  CONTAINERS,
  ggufOf,
  openCheckpoint,
  type CheckpointName,
  type Container,
} from "../parity/support/checkpoints.ts"
import { TOLERANCE } from "../tolerance.ts"

setDefaultTimeout(120_000)

const folder = mkdtempSync(join(tmpdir(), "ds4-experts-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const TOKENS = Array.from({ length: 150 }, (_, i) => (i * 37 + 11) % 500)

interface Run {
  readonly logits: Float32Array
  readonly experts: Readonly<Record<string, unknown>>
  readonly text: string
}

async function run(
  name: CheckpointName,
  container: Container,
  options: EngineOptions,
): Promise<Run> {
  const engine = await openCheckpoint(name, container, options)
  try {
    using session = engine.openSession(512)
    const logits = engine.step([{ session, tokens: TOKENS, rows: "ALL" }])
    const description = engine.describe()
    return {
      logits,
      experts: description["experts"] as Record<string, unknown>,
      text: expertsText(description),
    }
  } finally {
    await engine.close()
  }
}

function relativeRms(reference: Float32Array, compared: Float32Array): number {
  let difference = 0
  let size = 0
  for (const [i, value] of reference.entries()) {
    difference += (value - (compared[i] ?? NaN)) ** 2
    size += value ** 2
  }
  return Math.sqrt(difference / size)
}

for (const name of CHECKPOINT_NAMES) {
  for (const container of CONTAINERS) {
    test(
      `${name} from ${container}: f32 is the mapped arithmetic in another order, int8, ` +
        `bf16 and ` +
        `fp8ref are as far as their roundings`,
      async () => {
        const exact = await run(name, container, {
          numerics: "plain",
          experts: { place: "mapped" },
        })
        expect(exact.experts).toEqual({ place: "mapped", reason: "asked for" })
        const distance: Record<string, number> = {}
        for (const numerics of ["f32", "bf16", "int8", "fp8ref"] as const) {
          const packed = await run(name, container, { numerics: "plain", experts: { numerics } })
          expect(packed.experts).toMatchObject({ place: "packed", numerics, threads: "engine" })
          expect(packed.text).toStartWith(`packed in the expert library, ${numerics}, `)
          distance[numerics] = relativeRms(exact.logits, packed.logits)
        }
        console.log(
          `${name} from ${container}: relative RMS of logits ${Object.entries(distance)
            .map(([key, value]) => `${key} ${value.toExponential(1)}`)
            .join(", ")}`,
        )
        for (const numerics of ["f32", "bf16", "int8", "fp8ref"] as const)
          expect(distance[numerics]).toBeLessThan(TOLERANCE.packedExperts[numerics])
        expect(distance["f32"]).toBeLessThan((distance["bf16"] ?? NaN) / 10)
        expect(distance["fp8ref"]).toBeGreaterThan(distance["int8"] ?? NaN)
      },
    )
  }
}

const refusal = async (promise: Promise<unknown>): Promise<EngineError> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof EngineError))
    throw new Error(`expected an EngineError, got ${String(error)}`)
  return error
}
const tiny = (experts: ExpertOptions, more: EngineOptions = {}): Promise<Run> =>
  run("tiny-a", "safetensors", { numerics: "fast", ...more, experts })

describe("workers", () => {
  test("the library's own threads and parts give what the engine's threads give", async () => {
    const lent = await tiny({ place: "packed" }, { threads: 2 })
    const own = await tiny({ threads: 2, parts: 2 })
    expect(own.experts).toMatchObject({ place: "packed", threads: "own" })
    expect((own.experts["library"] as { parts: unknown[] }).parts.length).toBe(2)
    expect(own.logits).toEqual(lent.logits)
  })

  test("only the first layers can be packed", async () => {
    const some = await tiny({ layers: 2 })
    expect(some.experts).toMatchObject({ place: "packed", layers: 2 })
    expect((await tiny({ layers: 1000 })).experts).toMatchObject({
      layers: (await openModelFile(CHECKPOINTS["tiny-a"])).config.layers,
    })
  })

  test("two engines of one process share nothing", async () => {
    const options: EngineOptions = { numerics: "fast", threads: 2, experts: { place: "packed" } }
    const [a, b] = await Promise.all([
      openCheckpoint("tiny-a", "safetensors", options),
      openCheckpoint("tiny-a", "safetensors", options),
    ])
    const sessions = [a.openSession(512), b.openSession(512)] as const
    const first = a.step([{ session: sessions[0], tokens: TOKENS, rows: "LAST" }])
    for (const session of sessions) if (session === sessions[0]) session.close()
    await a.close()
    expect(b.step([{ session: sessions[1], tokens: TOKENS, rows: "LAST" }])).toEqual(first)
    sessions[1].close()
    await b.close()
  })
})

describe("what stands in the way", () => {
  test("options out of range, and flags that contradict each other", async () => {
    expect((await refusal(tiny({ threads: 100_000 }))).message).toContain(
      "expert_threads is 100000; expected 0..4096",
    )
    expect((await refusal(tiny({ parts: 65 }))).message).toContain(
      "expert_parts is 65; expected 0..64",
    )
    expect((await refusal(tiny({ threads: 1, parts: 2 }))).message).toContain(
      "each part needs a thread",
    )
    const flags: ExpertFlags = {
      "expert-weights": "auto",
      "cpu-moe": false,
      "n-cpu-moe-layers": 0,
      "kt-weight-path": undefined,
      "kt-cpuinfer": 0,
      "kt-threadpool-count": 0,
      "kt-method": "auto",
      "kt-numerics": "auto",
      "kt-bridge-lib": undefined,
    }
    expect(expertOptions(flags).place).toBe("auto")
    expect(expertOptions({ ...flags, "cpu-moe": true }).place).toBe("packed")
    expect(expertOptions({ ...flags, "n-cpu-moe-layers": 3 })).toMatchObject({
      place: "packed",
      layers: 3,
    })
    expect(() => expertOptions({ ...flags, "cpu-moe": true, "expert-weights": "mapped" })).toThrow(
      "--expert-weights mapped leaves nothing for --cpu-moe to say",
    )
  })

  test("a library that is missing or is none", async () => {
    expect((await refusal(tiny({ libraryPath: "/nowhere/libkt_bridge.so" }))).message).toContain(
      "/nowhere/libkt_bridge.so cannot be loaded",
    )
    expect((await refusal(tiny({ libraryPath: "libm.so.6" }))).message).toContain(
      "it lacks ktb_engine_create",
    )
  })

  test(
    "experts of a type that the library does not hold: packing is refused, auto maps them and " +
      "says why",
    async () => {
      const engine = (experts: ExpertOptions): ReturnType<typeof openEngine> =>
        ggufOf("tiny-a", "f32")
          .then(openModelFile)
          .then((file) => openEngine(file, undefined, { experts }))
      expect((await refusal(engine({ place: "packed" }))).message).toContain(
        "the library does not hold F32 experts (layer 0)",
      )
      const auto = await engine({})
      expect(expertsText(auto.describe())).toContain(
        "from the mapped file (routed experts cannot be packed: the library does not hold F32 " +
          "experts",
      )
      await auto.close()
    },
  )

  test("a cancelled load ends without an engine", async () => {
    const error = await refusal(tiny({ place: "packed" }, { signal: AbortSignal.abort() }))
    expect(error.code).toBe("CANCELLED")
    expect(error.message).toContain("loading was cancelled at layer 0")
    expect((await tiny({ place: "packed" })).experts).toMatchObject({ place: "packed" })
  })

  test(
    "a NaN scale that came after the file was checked ends the load and names the " + "tensor",
    async () => {
      const path = join(folder, "damaged.gguf")
      await quantize(await openModelFile(CHECKPOINTS["tiny-a"]), path, nativeConvertRows, {
        recipe: "mainline",
      })
      const file = await openModelFile(path)
      const tensor = file.tensors.find(({ kind, layer }) => kind === "EXPERT_DOWN" && layer === 3)
      const handle = await open(path, "r+")
      await handle.write(Uint8Array.of(255), 0, 1, tensor?.offset ?? 0)
      await handle.close()
      const error = await refusal(openEngine(file, undefined, { experts: { place: "packed" } }))
      expect(error.code).toBe("FORMAT")
      expect(error.message).toMatch(/experts of layer 3 could not be packed: .*expert 0.*w2/)
    },
  )
})

describe("experts of another file", () => {
  test("a GGUF with the official experts is the same model, packed and mapped", async () => {
    const file = await withExpertWeights(
      await openModelFile(await ggufOf("tiny-a", "mainline")),
      CHECKPOINTS["tiny-a"],
    )
    for (const place of ["packed", "mapped"] as const) {
      const expected = await run("tiny-a", "safetensors", { experts: { place } })
      const engine = await openEngine(file, undefined, { experts: { place } })
      using session = engine.openSession(512)
      const own = await openEngine(
        await openModelFile(await ggufOf("tiny-a", "mainline")),
        undefined,
        { experts: { place } },
      )
      using plain = own.openSession(512)
      expect(engine.step([{ session, tokens: TOKENS, rows: "ALL" }])).toEqual(
        own.step([{ session: plain, tokens: TOKENS, rows: "ALL" }]),
      )
      expect(expected.logits.length).toBeGreaterThan(0)
      session.close()
      plain.close()
      await engine.close()
      await own.close()
    }
  })

  test("experts of another shape are refused with both values", async () => {
    const error = await withExpertWeights(
      await openModelFile(CHECKPOINTS["tiny-a"]),
      CHECKPOINTS["tiny-b"],
    ).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ModelFileError)
    expect(String(error)).toMatch(/its experts do not fit .*: \w+ is \d+, the model has \d+/)
  })
})

describe.skipIf(!canBuildShim())("another expert library (needs a C compiler)", () => {
  test("kt-kernel's suffices for official experts and says what GGUF blocks need", async () => {
    const libraryPath = buildKtKernelShim(folder, "kt-kernel", [])
    const expected = await tiny({ numerics: "int8", threads: 1, parts: 1 })
    const ktKernel = await tiny({ libraryPath, threads: 1, parts: 1 })
    expect(ktKernel.experts).toMatchObject({ place: "packed", library: "kt-kernel" })
    expect(ktKernel.logits).toEqual(expected.logits)
    expect((await refusal(run("tiny-a", "gguf", { experts: { libraryPath } }))).message).toContain(
      "lacks ktb_moe_load_matrices, which MXFP4 experts",
    )
  })

  test("one of the revision before slots serves as ours does", async () => {
    const options = { numerics: "int8", threads: 1, parts: 1 } as const
    const older = await tiny({ ...options, libraryPath: buildOldestShim(folder, "oldest") })
    expect(older.logits).toEqual((await tiny(options)).logits)
  })

  test(
    "a function that part 1 should have, and an extension of another version, " + "are told",
    async () => {
      expect(
        (
          await refusal(
            tiny({ libraryPath: buildKtKernelShim(folder, "older", ["-DWITHOUT_F32"]) }),
          )
        ).message,
      ).toContain("it lacks ktb_moe_forward_f32")
      expect(
        (
          await refusal(
            tiny({ libraryPath: buildKtKernelShim(folder, "newer", ["-DVERSION=0x00030000"]) }),
          )
        ).message,
      ).toContain("has revision 3.0 of the extension")
    },
  )
})
