import { expect, test } from "bun:test"
import { readGgufHeader } from "./header.ts"
import type { GgufValue } from "./metadata.ts"
import { layoutGguf, type GgufTensorPlan } from "./writer.ts"
import { MAX_METADATA_RECORDS, MAX_TENSORS } from "../limits.ts"
import { TENSOR_TYPES } from "../tensor-types.ts"
import { memoryFiles, type MemoryFile } from "../testing/memory-files.ts"
import { expectRefusal } from "../testing/refusal.ts"

const PATH = "model.gguf"

async function read(file: MemoryFile | Uint8Array) {
  const files = memoryFiles(new Map([[PATH, file]]))
  return readGgufHeader(await files.open(PATH))
}

const file = (
  tensors: GgufTensorPlan[],
  metadata: Record<string, GgufValue> = {},
): { head: Uint8Array; bytes: number } => {
  const { header, fileBytes } = layoutGguf({ metadata: new Map(Object.entries(metadata)), tensors })
  return { head: header, bytes: fileBytes }
}
const vector = (name: string, length = 8): GgufTensorPlan => ({
  name,
  type: TENSOR_TYPES.F32,
  shape: [length],
})

/** Hand-made bytes: a list of numbers of given widths. */
function bytes(
  ...fields: (readonly ["u32" | "u64" | "raw", number | bigint | string])[]
): Uint8Array {
  const parts = fields.map(([kind, value]) => {
    if (kind === "raw") return new TextEncoder().encode(String(value))
    const out = new DataView(new ArrayBuffer(kind === "u32" ? 4 : 8))
    if (kind === "u32") out.setUint32(0, Number(value), true)
    else out.setBigUint64(0, BigInt(value), true)
    return new Uint8Array(out.buffer)
  })
  return new Uint8Array(Buffer.concat(parts))
}
const opening = (tensors: number | bigint, records: number | bigint) =>
  [
    ["raw", "GGUF"],
    ["u32", 3],
    ["u64", tensors],
    ["u64", records],
  ] as const
const text = (value: string) =>
  [
    ["u64", value.length],
    ["raw", value],
  ] as const

const EVERY_TYPE: Record<string, GgufValue> = {
  u8: { type: "u8", value: 255 },
  i8: { type: "i8", value: -128 },
  u16: { type: "u16", value: 65535 },
  i16: { type: "i16", value: -2 },
  u32: { type: "u32", value: 4294967295 },
  i32: { type: "i32", value: -3 },
  f32: { type: "f32", value: Math.fround(0.1) },
  bool: { type: "bool", value: true },
  string: { type: "string", value: "\ufeffé｜中😀" },
  u64: { type: "u64", value: 2 ** 40 },
  "u64 beyond doubles": { type: "u64", value: 2n ** 64n - 1n },
  i64: { type: "i64", value: -(2 ** 40) },
  f64: { type: "f64", value: 0.1 },
  strings: { type: "array", element: "string", value: ["", "Ġa"] },
  empty: { type: "array", element: "u16", value: [] },
  bools: { type: "array", element: "bool", value: [true, false] },
  nested: {
    type: "array",
    element: "array",
    value: [
      { type: "array", element: "u8", value: [1, 2] },
      { type: "array", element: "string", value: ["x"] },
    ],
  },
}

test(
  "every value type survives writing and reading, and writing again gives the same " + "bytes",
  async () => {
    const tensors = [
      vector("a"),
      { name: "b", type: TENSOR_TYPES.Q8_0, shape: [2, 3, 64] },
      { name: "c", type: TENSOR_TYPES.MXFP4, shape: [1, 32] },
    ]
    for (const alignment of [32, 1, 4096]) {
      const first = file(tensors, {
        ...EVERY_TYPE,
        "general.alignment": { type: "u32", value: alignment },
      })
      const header = await read(first)
      expect(Object.fromEntries(header.metadata)).toMatchObject(EVERY_TYPE)
      expect(header.tensors.map(({ name, shape, type }) => ({ name, shape, type }))).toEqual(
        tensors.map(({ name, shape, type }) => ({ name, shape, type })),
      )
      expect(header.tensors.every(({ offset }) => offset % alignment === 0)).toBe(true)
      const second = file([...header.tensors], Object.fromEntries(header.metadata))
      expect(second.bytes).toBe(first.bytes)
      expect(Buffer.compare(second.head, first.head)).toBe(0)
    }
  },
)

test("a header longer than the first window is read in windows, and the data is not", async () => {
  const tokens: GgufValue = {
    type: "array",
    element: "string",
    value: Array.from({ length: 60000 }, (_, id) => `token number ${id}`),
  }
  const large = file([{ name: "a", type: TENSOR_TYPES.F16, shape: [2 ** 20, 2 ** 16] }], { tokens })
  const files = memoryFiles(new Map([[PATH, large]]))
  const header = await readGgufHeader(await files.open(PATH))
  expect(header.metadata.get("tokens")?.value).toEqual(tokens.value)
  expect(header.tensors[0]?.bytes).toBe(2 ** 37)
  expect(files.bytesRead()).toBeLessThan(6 * large.head.length)
})

const LFS_POINTER = `version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 86720111200
`

test("files of another kind or version are refused", async () => {
  await expectRefusal(read(bytes(["raw", "PK34567890123456789012345"])), "FORMAT", "GGUF")
  await expectRefusal(
    read(bytes(["raw", "GGUF"], ["u32", 2], ["u64", 0], ["u64", 0])),
    "UNSUPPORTED",
    "version 2",
  )
  await expectRefusal(
    read(bytes(["raw", "GGUF"], ["u32", 0x03000000], ["u64", 0], ["u64", 0])),
    "UNSUPPORTED",
    "big-endian",
  )
  await expectRefusal(read(new Uint8Array(0)), "FORMAT", "the file is empty")
  for (const [head, advice] of [
    [LFS_POINTER, "is a Git LFS pointer, which stands for a file of 86720111200 bytes"],
    ["\n<!DOCTYPE html><title>Sign in</title>", "web page"],
    ["ggjt\x01\0\0\0....................", "before GGUF"],
    ["PK\x03\x04....................", "PyTorch"],
    ['\x10\0\0\0\0\0\0\0{"a":{}}        ', "name the folder"],
    ["\0".repeat(400), "begins with zeros"],
  ] as const)
    await expectRefusal(read(bytes(["raw", head])), "FORMAT", advice)
})

test("values that nothing depends on may be odd: not UTF-8, a boolean of 7", async () => {
  const latin1 = bytes(
    ...opening(0, 4),
    ...text("general.author"),
    ["u32", 8],
    ...text("Jos?"),
    ...text("general.?"),
    ["u32", 7],
    ["raw", "\x07"],
    ...text("tags"),
    ["u32", 9],
    ["u32", 8],
    ["u64", 2],
    ...text("a?"),
    ...text("b"),
    ...text("general.score"),
    ["u32", 6],
    ["u32", 0x7fc00000],
  )
  const read1 = latin1.map((byte) => (byte === 0x3f ? 0xe9 : byte))
  const { metadata } = await read(read1)
  expect(metadata.get("general.author")?.value).toBe("José")
  expect(metadata.get("general.é")?.value).toBe(true)
  expect(metadata.get("tags")?.value).toEqual(["aé", "b"])
  expect(metadata.get("general.score")?.value).toBeNaN()
})

test("hostile counts are refused before anything is allocated", async () => {
  await expectRefusal(
    read(bytes(...opening(2n ** 63n, 0))),
    "RANGE",
    "tensor count",
    String(MAX_TENSORS),
  )
  await expectRefusal(
    read(bytes(...opening(0, 2n ** 64n - 1n))),
    "RANGE",
    "record count",
    String(MAX_METADATA_RECORDS),
  )
  await expectRefusal(
    read(bytes(...opening(0, 1), ["u64", 2n ** 60n])),
    "RANGE",
    "length of a metadata key",
  )
  await expectRefusal(
    read(bytes(...opening(0, 1), ...text("k"), ["u32", 8], ["u64", 2n ** 50n])),
    "RANGE",
    'the string of "k"',
  )
  const array = (element: number, count: bigint) =>
    read(bytes(...opening(0, 1), ...text("k"), ["u32", 9], ["u32", element], ["u64", count]))
  await expectRefusal(array(8, 2n ** 62n), "RANGE", 'count of the array "k"')
  await expectRefusal(array(8, 2n ** 23n), "RANGE", "more than the file")
  await expectRefusal(array(0, 1000n), "RANGE", "more than the file")
})

test("arrays may nest, but not without end, and share one budget", async () => {
  const nest = (depth: number) =>
    Array.from(
      { length: depth },
      () =>
        [
          ["u32", 9],
          ["u64", 1],
        ] as const,
    ).flat()
  await expectRefusal(
    read(bytes(...opening(0, 1), ...text("k"), ["u32", 9], ...nest(30), ["u32", 0], ["u64", 0])),
    "RANGE",
    "deeper",
  )
  const megabytes: GgufValue = {
    type: "array",
    element: "u8",
    value: Array.from({ length: 2 ** 22 }, () => 0),
  }
  await expectRefusal(
    read(file([], Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`k${i}`, megabytes])))),
    "RANGE",
    "the limit is 16777216",
  )
})

test("faults of metadata records name the key", async () => {
  await expectRefusal(
    read(bytes(...opening(0, 1), ...text("k"), ["u32", 13])),
    "FORMAT",
    '"k"',
    "value type 13",
  )
  await expectRefusal(
    read(bytes(...opening(0, 1), ...text("deepseek4.k"), ["u32", 7], ["raw", "\x02"])),
    "FORMAT",
    '"deepseek4.k"',
    "boolean 2",
  )
  await expectRefusal(
    read(
      bytes(
        ...opening(0, 2),
        ...text("k"),
        ["u32", 4],
        ["u32", 1],
        ...text("k"),
        ["u32", 4],
        ["u32", 1],
      ),
    ),
    "FORMAT",
    '"k" appears twice',
  )
  for (const key of ["general.architecture", "deepseek4.k", "tokenizer.ggml.pre", "split.k"]) {
    const broken = bytes(...opening(0, 1), ...text(key), ["u32", 8], ...text("xyz"))
    broken[broken.length - 1] = 0xff
    await expectRefusal(read(broken), "FORMAT", "UTF-8", key)
  }
  for (const value of [0, 3, 2 ** 21]) {
    await expectRefusal(
      read(bytes(...opening(0, 1), ...text("general.alignment"), ["u32", 4], ["u32", value])),
      "RANGE",
      `general.alignment is ${value}`,
    )
    expect(() => file([], { "general.alignment": { type: "u32", value } })).toThrow(
      "general.alignment",
    )
  }
})

/** A directory of hand-made entries, with `dataBytes` of data behind it. */
async function readDirectory(
  dataBytes: number,
  ...entries: { name: string; dims: (number | bigint)[]; type: number; offset: number | bigint }[]
) {
  const head = bytes(
    ...opening(entries.length, 0),
    ...entries.flatMap(({ name, dims, type, offset }) => [
      ...text(name),
      ["u32", dims.length] as const,
      ...dims.map((dim) => ["u64", dim] as const),
      ["u32", type] as const,
      ["u64", offset] as const,
    ]),
  )
  return read({ head, bytes: Math.ceil(head.length / 32) * 32 + dataBytes })
}

test("faults of the directory name the tensor, what was expected and what came", async () => {
  const good = { name: "t", dims: [8], type: 0, offset: 0 }
  expect((await readDirectory(32, good)).tensors.length).toBe(1)
  await expectRefusal(readDirectory(31, good), "RANGE", "tensor t", "ends at byte", "the file has")
  await expectRefusal(
    readDirectory(64, { ...good, offset: 16 }),
    "RANGE",
    "tensor t",
    "16",
    "multiple of the alignment 32",
  )
  await expectRefusal(
    readDirectory(64, { ...good, offset: 2n ** 63n }),
    "RANGE",
    "tensor t",
    "ends at byte",
  )
  await expectRefusal(
    readDirectory(64, { ...good, type: 14 }),
    "UNSUPPORTED",
    "tensor t",
    "type 14",
  )
  await expectRefusal(
    readDirectory(64, { ...good, type: 1000 }),
    "UNSUPPORTED",
    "tensor t",
    "type 1000",
  )
  await expectRefusal(
    readDirectory(64, { ...good, type: 8 }),
    "SHAPE",
    "tensor t",
    "rows of 8",
    "multiple of 32",
  )
  await expectRefusal(readDirectory(64, { ...good, dims: [] }), "SHAPE", "0 dimensions")
  await expectRefusal(
    readDirectory(64, { ...good, dims: [1, 1, 1, 1, 1] }),
    "SHAPE",
    "5 dimensions",
  )
  await expectRefusal(readDirectory(64, { ...good, dims: [8, 0] }), "SHAPE", "tensor t", "0 x 8")
  await expectRefusal(
    readDirectory(64, { ...good, dims: [2n ** 32n, 2n ** 32n] }),
    "SHAPE",
    "tensor t",
    "2^53",
  )
  await expectRefusal(
    readDirectory(64, { ...good, dims: [2n ** 63n] }),
    "RANGE",
    "dimension 0 of tensor t",
  )
  await expectRefusal(readDirectory(64, good, good), "UNEXPECTED", "tensor t appears twice")
  await expectRefusal(
    readDirectory(96, { ...good, dims: [16] }, { ...good, name: "u", offset: 32 }),
    "RANGE",
    "tensor u",
    "inside t",
  )
})
