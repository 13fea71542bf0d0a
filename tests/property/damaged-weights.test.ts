// A scale may turn to NaN after the file was checked. A model may be too large to be read when it
// is opened. The first step that would use it fails with the tensor's name, and the session stays
// where it was. Routed experts are mapped here; expert-place.test.ts has packed ones.
import { expect, test } from "bun:test"
import { mkdtempSync } from "node:fs"
import { open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { nativeConvertRows, openEngine, quantize } from "@ds4/engine"
import { openModelFile, type TensorEntry } from "@ds4/model-file"
import { CHECKPOINTS } from "../parity/support/checkpoints.ts"

const folder = mkdtempSync(join(tmpdir(), "ds4-damaged-"))

async function damaged(
  name: string,
  choose: (tensor: TensorEntry) => boolean,
  at: number,
  bytes: readonly number[],
): Promise<string> {
  const path = join(folder, `${name}.gguf`)
  await quantize(await openModelFile(CHECKPOINTS["tiny-a"]), path, nativeConvertRows, {
    recipe: "mainline",
  })
  const file = await openModelFile(path)
  const tensor = file.tensors.find(choose)
  if (tensor === undefined) throw new Error("no such tensor")
  const handle = await open(path, "r+")
  await handle.write(Uint8Array.from(bytes), 0, bytes.length, tensor.offset + at)
  await handle.close()
  const engine = await openEngine(file, undefined, {
    numerics: "fast",
    experts: { place: "mapped" },
  })
  try {
    using session = engine.openSession(512)
    const tokens = Array.from({ length: 200 }, (_, i) => (i * 37) % 512)
    let message = ""
    try {
      engine.step([{ session, tokens, rows: "LAST" }])
    } catch (error) {
      message = String(error)
    }
    expect(session.position).toBe(message === "" ? 200 : 0)
    return message
  } finally {
    await engine.close()
  }
}

/** Bytes of an expert of [256, 256] in MXFP4 blocks of 17 bytes per 32 values. */
const EXPERT_BYTES = 256 * (256 / 32) * 17

test("a NaN scale of a routed expert names layer, tensor, expert and row", async () => {
  const message = await damaged(
    "expert",
    ({ kind, layer }) => kind === "EXPERT_DOWN" && layer === 3,
    2 * EXPERT_BYTES + 5 * 8 * 17,
    [255],
  )
  expect(message).toContain("blk.3.ffn_down_exps.weight, expert 2, row 5: an E8M0 scale is NaN")
})

test("a NaN scale of a dense matrix names layer, tensor and row", async () => {
  const message = await damaged(
    "dense",
    ({ kind, layer }) => kind === "ATTN_Q_B" && layer === 1,
    7 * (128 / 32) * 34,
    [0x00, 0x7e],
  )
  expect(message).toContain("blk.1.attn_q_b.weight, row 7: a block scale is not finite")
})

test("damage that is no NaN is not refused", async () => {
  expect(
    await damaged(
      "value",
      ({ kind, layer }) => kind === "EXPERT_DOWN" && layer === 3,
      2 * EXPERT_BYTES + 1,
      [0x77],
    ),
  ).toBe("")
})
