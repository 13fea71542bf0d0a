// Damaged files: cut off anywhere, or with bits turned over in a header. The outcome is a
// ModelFileError or a model whose every tensor lies inside its file; never another error, an
// endless read or a large allocation.
import { expect, test } from "bun:test"
import { openModelFile } from "./open-model-file.ts"
import { ModelFileError } from "./model-file-error.ts"
import type { GgufValue } from "./gguf/metadata.ts"
import { memoryFiles, type MemoryFile } from "./testing/memory-files.ts"
import { Random } from "./testing/random.ts"
import { checkpoint, checkpointFiles, ggufFile, ggufModel } from "./testing/small-models.ts"

const SEED = 20250101

function gguf(): MemoryFile {
  const model = ggufModel()
  const tokens: GgufValue = {
    type: "array",
    element: "string",
    value: Array.from({ length: 32 }, (_, id) => `t${id}`),
  }
  model.metadata.set("tokenizer.ggml.tokens", tokens)
  model.metadata.set("nested", {
    type: "array",
    element: "array",
    value: [{ type: "array", element: "f64", value: [1, 2] }],
  })
  return ggufFile(model)
}

/** Opens and says what happened; anything but a ModelFileError or a sound model fails the test. */
async function outcome(
  path: string,
  files: ReturnType<typeof memoryFiles>,
  what: string,
): Promise<"opened" | "refused"> {
  try {
    const model = await openModelFile(path, files)
    for (const tensor of model.tensors) {
      const end = tensor.offset + tensor.bytes
      if (!(tensor.offset >= 0 && end <= (model.files[tensor.file]?.bytes ?? 0)))
        throw new Error(`${what}: ${tensor.name} leaves its file`)
    }
    return "opened"
  } catch (error) {
    if (error instanceof ModelFileError && error.message.length < 2000) return "refused"
    throw new Error(`${what}: ${String(error)}`, { cause: error })
  }
}

const ggufOutcome = (file: MemoryFile, what: string) =>
  outcome("m.gguf", memoryFiles(new Map([["m.gguf", file]])), what)
const cut = (file: MemoryFile, bytes: number): MemoryFile => ({
  head: file.head.subarray(0, bytes),
  bytes,
})

test("a GGUF file cut off anywhere is refused", async () => {
  const file = gguf()
  const random = new Random(SEED)
  const offsets = new Set<number>()
  // every offset of the header, so every boundary in it
  for (let at = 0; at <= file.head.length; at++) offsets.add(at)
  for (let i = 0; i < 300; i++) offsets.add(random.below(file.bytes))
  for (const at of [file.bytes - 1, file.bytes - 32]) offsets.add(at)
  const opened: number[] = []
  for (const at of offsets)
    if ((await ggufOutcome(cut(file, at), `cut at ${at}`)) === "opened") opened.push(at)
  // Only the padding after the last tensor may be missing.
  const dataEnd = Math.max(
    ...(await openModelFile("m.gguf", memoryFiles(new Map([["m.gguf", file]])))).tensors.map(
      ({ offset, bytes }) => offset + bytes,
    ),
  )
  expect(opened.filter((at) => at < dataEnd)).toEqual([])
}, 240_000)

test("a GGUF header with bits turned over is refused or still sound", async () => {
  const file = gguf()
  const random = new Random(SEED + 1)
  const counts = { opened: 0, refused: 0 }
  for (let round = 0; round < 3000; round++) {
    const head = file.head.slice()
    const flips = 1 + random.below(4)
    for (let i = 0; i < flips; i++) {
      const at = random.below(head.length)
      head[at] =
        random.below(3) === 0
          ? random.pick([0, 0x7f, 0x80, 0xff])
          : (head[at] ?? 0) ^ (1 << random.below(8))
    }
    counts[await ggufOutcome({ head, bytes: file.bytes }, `round ${round} of seed ${SEED + 1}`)]++
  }
  expect(counts.refused).toBeGreaterThan(1000) // most of a header matters
  expect(counts.opened).toBeGreaterThan(10) // names of unknown keys and the like do not
}, 240_000)

test(
  "every field of a GGUF directory entry replaced by extremes is refused or still " + "sound",
  async () => {
    const file = gguf()
    const view = new DataView(file.head.buffer)
    const extremes = [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]
    const directory = Buffer.from(file.head).indexOf("token_embd.weight")
    for (let at = directory - 8; at < directory + 60; at++) {
      for (const value of extremes) {
        const before = view.getBigUint64(at, true)
        view.setBigUint64(at, value, true)
        await ggufOutcome(file, `u64 ${value} at ${at}`)
        view.setBigUint64(at, before, true)
      }
    }
  },
)

const folderOutcome = (files: ReturnType<typeof checkpointFiles>, what: string) =>
  outcome("m", memoryFiles(files), what)
const SHARD = "m/model-1.safetensors"

test("a safetensors file cut off anywhere is refused", async () => {
  const files = checkpointFiles(checkpoint(), "m")
  const shard = files.get(SHARD)
  if (shard === undefined || shard instanceof Uint8Array) throw new Error("the fixture has changed")
  const random = new Random(SEED + 2)
  const offsets = [
    0,
    1,
    7,
    8,
    9,
    shard.head.length - 1,
    shard.head.length,
    shard.head.length + 1,
    shard.bytes - 1,
  ]
  for (let i = 0; i < 300; i++)
    offsets.push(random.below(shard.head.length), random.below(shard.bytes))
  for (const at of offsets) {
    files.set(SHARD, cut(shard, at))
    expect(await folderOutcome(files, `cut at ${at}`)).toBe("refused")
  }
})

test.each([SHARD, "m/config.json", "m/model.safetensors.index.json"])(
  "%s with characters replaced is refused or still sound",
  async (path) => {
    const files = checkpointFiles(checkpoint(), "m")
    const original = files.get(path)
    if (original === undefined) throw new Error("the fixture has changed")
    const head = original instanceof Uint8Array ? original : original.head
    const random = new Random(SEED + 3)
    let refused = 0
    for (let round = 0; round < 400; round++) {
      const damaged = head.slice()
      const at = random.below(damaged.length)
      damaged[at] = random.pick([
        0,
        0x22,
        0x2c,
        0x30,
        0x39,
        0x2d,
        0x7b,
        0x7d,
        0x5b,
        0x5d,
        0xff,
        (damaged[at] ?? 0) ^ (1 << random.below(8)),
      ])
      files.set(
        path,
        original instanceof Uint8Array ? damaged : { head: damaged, bytes: original.bytes },
      )
      if ((await folderOutcome(files, `round ${round} of seed ${SEED + 3}`)) === "refused")
        refused++
    }
    expect(refused).toBeGreaterThan(100)
  },
  60_000,
)
