import { afterAll, expect, test } from "bun:test"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ByteSink } from "./output/byte-sink.ts"
import { OutputError, type OutputErrorCode } from "./output/output-error.ts"
import { writeOutput, type WriteOptions } from "./output/write-output.ts"
import { diskFiles } from "./byte-source.ts"
import { readGgufHeader } from "./gguf/header.ts"
import { writeGguf } from "./gguf/writer.ts"
import { openModelFile } from "./open-model-file.ts"
import { writeSafetensors } from "./safetensors/writer.ts"
import { readSafetensorsHeader } from "./safetensors/header.ts"
import { expectRefusal } from "./testing/refusal.ts"
import { SMALL_CONFIG, ggufModel } from "./testing/small-models.ts"

const folder = await mkdtemp(join(tmpdir(), "ds4-writers-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Expects an OutputError of this code whose message holds every one of `words`. */
async function expectOutputError(
  action: Promise<unknown>,
  code: OutputErrorCode,
  ...words: string[]
): Promise<void> {
  const outcome = await action.then(
    () => "was written",
    (error: unknown) => error,
  )
  if (!(outcome instanceof OutputError))
    throw new Error(`expected an OutputError ${code}, got ${String(outcome)}`)
  expect({ code: outcome.code, message: outcome.message }).toMatchObject({ code })
  for (const word of words) expect(outcome.message).toContain(word)
}

/** Bytes that differ from place to place. */
const pattern = (bytes: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + seed * 7) % 251)

async function writeSmall(
  path: string,
  fill?: (index: number, sink: ByteSink, bytes: number) => Promise<void>,
  options: WriteOptions = {},
): Promise<void> {
  const model = ggufModel()
  const sizes = model.tensors.map(
    ({ type, shape }) => (shape.reduce((a, b) => a * b, 1) / type.block) * type.blockBytes,
  )
  await writeGguf(
    path,
    model,
    async (index, sink) => {
      const bytes = sizes[index] ?? 0
      if (fill === undefined) await sink.write(new Uint8Array(bytes))
      else await fill(index, sink, bytes)
    },
    options,
  )
}

test(
  "a file on the disk is read back, byte for byte, and copying it gives the " + "same file",
  async () => {
    const [first, second] = [join(folder, "first.gguf"), join(folder, "second.gguf")]
    await writeSmall(first, async (index, sink, bytes) => {
      const half = Math.floor(bytes / 2)
      const all = pattern(bytes, index)
      await sink.write(all.subarray(0, half))
      await sink.write(all.subarray(half))
    })
    const source = await diskFiles.open(first)
    const header = await readGgufHeader(source)
    for (const [index, tensor] of header.tensors.entries()) {
      if (index % 9 === 0)
        expect(
          Buffer.compare(
            await source.read(tensor.offset, tensor.bytes),
            pattern(tensor.bytes, index),
          ),
        ).toBe(0)
    }
    await writeGguf(second, header, async (index, sink) => {
      const tensor = header.tensors[index]
      if (tensor !== undefined) await sink.write(await source.read(tensor.offset, tensor.bytes))
    })
    expect(Buffer.compare(await Bun.file(first).bytes(), await Bun.file(second).bytes())).toBe(0)
  },
)

test("a written model opens with its configuration", async () => {
  const path = join(folder, "model.gguf")
  await writeSmall(path)
  expect((await openModelFile(path)).config).toEqual(SMALL_CONFIG)
})

test("skipped bytes read as zeros and take no room", async () => {
  const path = join(folder, "sparse")
  await writeOutput(
    path,
    2 ** 30,
    async (sink) => {
      await sink.skip(2 ** 29)
      await sink.write(new Uint8Array([7]))
      await sink.skip(2 ** 29 - 1)
    },
    { skippedBytes: 2 ** 30 - 1 },
  )
  const source = await diskFiles.open(path)
  expect(source.bytes).toBe(2 ** 30)
  expect([...(await source.read(2 ** 29 - 1, 3))]).toEqual([0, 7, 0])
  expect((await Bun.file(path).stat()).blocks * 512).toBeLessThan(2 ** 20)
})

test("reads outside a file and of a file that shrank are refused", async () => {
  const path = join(folder, "short")
  await Bun.write(path, "12345")
  const source = await diskFiles.open(path)
  await expectRefusal(source.read(3, 3), "IO", "leaves the file of 5 bytes")
  await expectRefusal(source.read(-1, 3), "IO")
  await Bun.write(path, "1")
  await expectRefusal(source.read(0, 5), "IO", "gave 1")
  await expectRefusal(diskFiles.open(join(folder, "absent")), "NOT_FOUND")
  await expectRefusal(diskFiles.open(folder), "IO", "folder")
})

test("an error while writing leaves the old file and nothing else", async () => {
  const path = join(folder, "kept.gguf")
  await Bun.write(path, "old")
  const before = await readdir(folder)
  const overwrite = { overwrite: true }
  const failing = writeSmall(
    path,
    async (index, sink, bytes) => {
      if (index === 20) throw new Error("stopped on purpose")
      await sink.write(new Uint8Array(bytes))
    },
    overwrite,
  )
  expect(failing).rejects.toThrow("stopped on purpose")
  await failing.catch(() => undefined)
  await expectRefusal(
    writeSmall(path, (_, sink) => sink.write(new Uint8Array(1)), overwrite),
    "SHAPE",
    "token_embd.weight",
    "given 1 bytes",
  )
  expect(await Bun.file(path).text()).toBe("old")
  expect(await readdir(folder)).toEqual(before)
})

test("too little room is noticed before anything is written", async () => {
  const path = join(folder, "large")
  const before = await readdir(folder)
  let filled = false
  const write = writeOutput(
    path,
    2 ** 40,
    () => {
      filled = true
      return Promise.resolve()
    },
    { freeBytes: () => Promise.resolve(2 ** 39) },
  )
  await expectOutputError(write, "IO", String(2 ** 40), String(2 ** 39))
  await expectOutputError(
    writeOutput(path, 2 ** 60, () => Promise.resolve()),
    "IO",
    "free",
  ) // as the real disk says
  await expectOutputError(
    writeOutput(join(folder, "no/such/folder/file"), 1, () => Promise.resolve()),
    "IO",
    "ENOENT",
  )
  expect(filled).toBe(false)
  expect(await readdir(folder)).toEqual(before)
})

/** A file system of 1 MiB, or undefined where mounting is not allowed. */
async function smallDisk(): Promise<string | undefined> {
  const mount = await mkdtemp(join(tmpdir(), "ds4-small-disk-"))
  const { exitCode } = await Bun.$`mount -t tmpfs -o size=1m tmpfs ${mount}`.quiet().nothrow()
  if (exitCode === 0) return mount
  await rm(mount, { recursive: true })
  return undefined
}
const disk = await smallDisk()
afterAll(async () => {
  if (disk === undefined) return
  await Bun.$`umount ${disk}`.quiet().nothrow()
  await rm(disk, { recursive: true, force: true })
})

test.skipIf(disk === undefined)(
  "a disk that fills up while writing is left as it was (needs the right to mount a tmpfs)",
  async () => {
    const path = join(disk ?? "", "model.gguf")
    await Bun.write(path, "old")
    const write = writeOutput(
      path,
      2 ** 22,
      async (sink) => {
        for (let i = 0; i < 64; i++) await sink.write(pattern(2 ** 16, i))
      },
      { overwrite: true, freeBytes: () => Promise.resolve(2 ** 40) },
    )
    await expectOutputError(write, "IO", "the disk is full")
    expect(await readdir(disk ?? "")).toEqual(["model.gguf"])
    expect(await Bun.file(path).text()).toBe("old")
  },
)

test("a safetensors file is read back", async () => {
  const path = join(folder, "x.safetensors")
  const plan = [
    { name: "a", dtype: "F32", shape: [2, 3] },
    { name: "b", dtype: "I8", shape: [5] },
    { name: "c", dtype: "BF16", shape: [] },
  ] as const
  const sizes = [24, 5, 2]
  await writeSafetensors(
    path,
    plan,
    (index, sink) => sink.write(pattern(sizes[index] ?? 0, index)),
    { metadata: { format: "pt" } },
  )
  const source = await diskFiles.open(path)
  const header = await readSafetensorsHeader(source)
  expect(header.dataBegin % 8).toBe(0)
  expect([...header.metadata]).toEqual([["format", "pt"]])
  expect(
    header.entries.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] })),
  ).toEqual(plan.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] })))
  for (const [index, { offset, bytes }] of header.entries.entries())
    expect([...(await source.read(offset, bytes))]).toEqual([...pattern(bytes, index)])
  await expectRefusal(
    writeSafetensors(path, plan, (_, sink) => sink.write(new Uint8Array(1)), { overwrite: true }),
    "SHAPE",
    "tensor a",
  )
})
