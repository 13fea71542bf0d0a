// The parity checks must be able to fail. Arithmetic that is off by one rounding is told apart from
// right arithmetic, on the prompts and bounds of the parity tests.
import { expect, test } from "bun:test"
import type { EngineOptions } from "@ds4/engine"
import { TOLERANCE } from "../tolerance.ts"
import { openCheckpoint } from "./support/checkpoints.ts"
import { largestDifference, Recorded } from "./support/recorded.ts"

async function distance(options: EngineOptions, file: string, prompt: string): Promise<number> {
  const recorded = await Recorded.open(`tiny-a/${file}.safetensors`)
  const engine = await openCheckpoint("tiny-a", "safetensors", options)
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
    100 * TOLERANCE.trainedStable,
  )
  expect(await distance({ numerics: "trained" }, "vectors", "p66")).toBeGreaterThan(
    100 * TOLERANCE.plainLogits,
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
    ).toBeGreaterThan(TOLERANCE.trainedStable)
    expect(
      await distance(
        { numerics: "trained", switches: { noIndexRounding: true } },
        "vectors-trained",
        "p66",
      ),
    ).toBeGreaterThan(TOLERANCE.trainedStable)
    expect(await distance({ numerics: "fast" }, "vectors-trained", "s12")).toBeGreaterThan(
      TOLERANCE.trainedStable,
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
