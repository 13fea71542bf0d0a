// The parity checks must be able to fail. Arithmetic that is off by one rounding is told apart from
// right arithmetic, on the prompts and bounds of the parity tests.
import { expect, test } from "bun:test"
import { copyFileSync } from "node:fs"
import { open } from "node:fs/promises"
import { openEngine, type EngineOptions, type NativeEngine } from "@ds4/engine"
import { openModelFile, TENSOR_TYPES } from "@ds4/model-file"
import { TOLERANCE } from "../tolerance.ts"
import { ggufOf, openCheckpoint } from "./support/checkpoints.ts"
import { largestDifference, Recorded } from "./support/recorded.ts"

async function distance(options: EngineOptions, file: string, prompt: string): Promise<number> {
  const engine = await openCheckpoint("tiny-a", "safetensors", options)
  return await distanceOf(engine, file, prompt)
}

/** To the last logits of a recorded prompt. Closes the engine. */
async function distanceOf(engine: NativeEngine, file: string, prompt: string): Promise<number> {
  const recorded = await Recorded.open(`tiny-a/${file}.safetensors`)
  try {
    using session = engine.openSession(1024)
    const logits = engine.step([
      { session, tokens: recorded.numbers(`${prompt}.input_ids`), rows: "LAST" },
    ])
    return largestDifference(logits, recorded.numbers(`${prompt}.logits_last_f64`))
  } finally {
    await engine.close()
  }
}

test("the recorded trained logits refuse plain arithmetic, and the other way round", async () => {
  expect(await distance({ numerics: "plain" }, "vectors-trained", "s12")).toBeGreaterThan(
    TOLERANCE.wrongRounding,
  )
  expect(await distance({ numerics: "trained" }, "vectors", "p66")).toBeGreaterThan(
    TOLERANCE.wrongRounding,
  )
})

test(
  "leaving out one rounding shows: of cache rows, of index rows, and of " + "activations",
  async () => {
    expect(
      await distance(
        { numerics: "trained", switches: { noKvRounding: true } },
        "vectors-trained",
        "s12",
      ),
    ).toBeGreaterThan(TOLERANCE.wrongRounding)
    expect(
      await distance(
        { numerics: "trained", switches: { noIndexRounding: true } },
        "vectors-trained",
        "p66",
      ),
    ).toBeGreaterThan(TOLERANCE.wrongRounding)
    expect(await distance({ numerics: "fast" }, "vectors-trained", "s12")).toBeGreaterThan(
      TOLERANCE.wrongRounding,
    )
  },
)

test("fast with f32 activations is trained, bit for bit", async () => {
  const fast = await distance(
    { numerics: "fast", switches: { f32Activations: true } },
    "vectors-trained",
    "p66",
  )
  expect(fast).toBe(await distance({ numerics: "trained" }, "vectors-trained", "p66"))
})

/** The checkpoint with the weights of a layer's norm before the experts times `factor`. */
async function withScaledNorm(layer: number, factor: number): Promise<string> {
  const path = await ggufOf("tiny-a", "lossless")
  const changed = path.replace(/\.gguf$/, `-norm-${layer}.gguf`)
  copyFileSync(path, changed)
  const { tensors } = await openModelFile(path)
  const tensor = tensors.find((each) => each.kind === "FFN_NORM" && each.layer === layer)
  if (tensor?.type !== TENSOR_TYPES.F32.id) throw new Error(`layer ${layer} has no norm in f32`)
  const { offset, bytes } = tensor
  const weights = new Float32Array(
    await Bun.file(path)
      .slice(offset, offset + bytes)
      .arrayBuffer(),
  )
  const handle = await open(changed, "r+")
  await handle.write(new Uint8Array(weights.map((w) => w * factor).buffer), 0, bytes, offset)
  await handle.close()
  return changed
}

test("an error of 6e-5 in the input of any layer's experts, ten times our own, shows", async () => {
  for (const layer of [0, 1, 2, 3, 4, 5]) {
    const path = await withScaledNorm(layer, 1 + 6e-5)
    const engine = await openEngine(await openModelFile(path), undefined, {
      numerics: "plain",
      threads: 1,
    })
    const difference = await distanceOf(engine, "vectors", "p66")
    expect(difference, `layer ${layer}`).toBeGreaterThan(TOLERANCE.plain.logits)
  }
})
