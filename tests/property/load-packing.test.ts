// Dense matrices are packed when an engine opens: the plan tells them, and a cancel ends them.
import { expect, test } from "bun:test"
import { EngineError, openEngine, planEngine } from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"
import { CHECKPOINTS } from "../parity/support/checkpoints.ts"

test("a plan tells where dense matrices go, and the engine puts them there", async () => {
  const file = await openModelFile(CHECKPOINTS["tiny-a"])
  for (const isDenseMapped of [false, true]) {
    const options = { switches: { mappedDense: isDenseMapped } }
    const { dense, memory } = await planEngine(file, options)
    const engine = await openEngine(file, undefined, options)
    const description = engine.describe()
    await engine.close()
    expect(description["dense"]).toMatchObject(dense)
    expect(description["memory"]).toMatchObject({ packed_weight_bytes: memory.packedWeightBytes })
    if (isDenseMapped) expect(dense).toEqual({ place: "mapped", reason: "asked for" })
  }
})

test("a cancel ends the packing of dense matrices, where no expert is packed", async () => {
  const file = await openModelFile(CHECKPOINTS["tiny-a"])
  const options = { experts: { place: "mapped" } } as const
  const { dense } = await planEngine(file, options)
  const opening = openEngine(file, undefined, { ...options, signal: AbortSignal.abort() })
  if (dense.place === "mapped") {
    await (await opening).close()
    return
  }
  const error = await opening.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(EngineError)
  expect(error).toMatchObject({ code: "CANCELLED" })
  const engine = await openEngine(file, undefined, options)
  expect(engine.describe()["dense"]).toMatchObject(dense)
  await engine.close()
})
