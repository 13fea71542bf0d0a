import { expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { viewOf } from "../format/layout.ts"
import { randomNumbers } from "../testing/file-map.ts"
import { MemoryFiles } from "../testing/memory-files.ts"
import { codeOf } from "../testing/open-test-store.ts"
import { tokenIds } from "../testing/synthetic-state.ts"
import { temporaryFolder } from "../testing/temporary-folder.ts"
import { KvcFile, writeKvcFile, type KvcTool } from "./file.ts"
import { importKvcFile, kvcKey, listKvcFolder } from "./folder.ts"
import { encodeKvcHeader, readKvcHeader, type KvcHeader } from "./header.ts"
import {
  encodeKvcCounts,
  encodeKvcShape,
  kvcPayloadBytes,
  kvcPieces,
  kvcRatio,
  type KvcShape,
} from "./payload.ts"

/** The header that the format's description gives as an example. */
const EXAMPLE =
  "4b564301020101000008000003000000a086010000000000800e806900000000e40e80690000000015cd5b0700000000"

const FLASH: KvcShape = {
  context: 100_000,
  prefillChunk: 2048,
  rawCapacity: 2304,
  rawWindow: 128,
  compressedCapacity: 25_000,
  tokens: 2048,
  layers: 43,
  headDimension: 512,
  indexerDimension: 128,
  vocabulary: 129_280,
  rawRows: 128,
}
const SMALL: KvcShape = {
  ...FLASH,
  tokens: 300,
  layers: 5,
  headDimension: 8,
  indexerDimension: 4,
  vocabulary: 50,
}

/** A payload with these shapes and other bytes in each place. */
function payloadOf(shape: KvcShape): Uint8Array {
  const ids = tokenIds(shape.tokens, 1)
  const fixed: Record<string, Uint8Array> = {
    shape: encodeKvcShape(shape),
    "token ids": new Uint8Array(ids.buffer),
    "compressed counts": encodeKvcCounts(shape, "compressed"),
    "indexer counts": encodeKvcCounts(shape, "indexer"),
  }
  const random = randomNumbers(5)
  return Buffer.concat(
    kvcPieces(shape).map(
      ({ name, length }) =>
        fixed[name] ?? Uint8Array.from({ length }, () => Math.floor(random() * 256)),
    ),
  )
}

const PAYLOAD = payloadOf(SMALL)
const TEXT = Buffer.from("<bos>system<User>héllo")
const TOOLS: KvcTool[] = [
  { id: Buffer.from("call_1"), block: Buffer.from("<tool>{}</tool>") },
  { id: new Uint8Array(256).fill(7), block: new Uint8Array(0) },
]
const HEADER: Omit<KvcHeader, "textBytes"> = {
  quantisationBits: 2,
  reason: 5,
  flags: { hasTools: true, isResponsesKey: false, isThinkingKey: true, others: 3 },
  tokens: SMALL.tokens,
  hits: 9,
  context: 4096,
  created: 2n ** 63n,
  lastUsed: 1_770_000_100n,
  payloadBytes: PAYLOAD.length,
  reserved: [0, 0],
}

interface Written {
  readonly files: MemoryFiles
  readonly bytes: Uint8Array
}

async function written(tools: readonly KvcTool[] = TOOLS, hasTools = true): Promise<Written> {
  const files = new MemoryFiles()
  files.folders.add(".")
  const output = await files.create("x.kv")
  const header = { ...HEADER, flags: { ...HEADER.flags, hasTools } }
  const payload = [PAYLOAD.subarray(0, 1000), PAYLOAD.subarray(1000)]
  await writeKvcFile(output, { header, text: TEXT, payload, tools })
  return { files, bytes: files.contents.get("x.kv") ?? new Uint8Array(0) }
}

async function reopened(bytes: Uint8Array): Promise<KvcFile> {
  const files = new MemoryFiles()
  files.put("x.kv", bytes)
  return KvcFile.open(await files.open("x.kv"))
}

test("the example header reads as described, and is written as it was", () => {
  const bytes = Uint8Array.fromHex(`${EXAMPLE}00000000`)
  const header = readKvcHeader(bytes)
  expect(header).toEqual({
    quantisationBits: 2,
    reason: 1,
    flags: { hasTools: true, isResponsesKey: false, isThinkingKey: false, others: 0 },
    tokens: 2048,
    hits: 3,
    context: 100_000,
    created: 1_770_000_000n,
    lastUsed: 1_770_000_100n,
    payloadBytes: 123_456_789,
    textBytes: 0,
    reserved: [0, 0],
  })
  expect(encodeKvcHeader(header).toHex()).toBe(bytes.toHex())
})

test("a file's name is the SHA-1 of its text", () => {
  expect(kvcKey(Buffer.from("abc"))).toBe("a9993e364706816aba3e25717850c26c9cd0d89d")
})

test.each([
  [2048, 52e6],
  [8192, 137e6],
  [32_768, 475e6],
  [65_536, 926e6],
  [131_072, 1.8e9],
  [1_048_576, 14.5e9],
])("a payload of %d tokens has the size that the description gives", (tokens, expected) => {
  const bytes = kvcPayloadBytes({ ...FLASH, tokens })
  expect(Math.abs(bytes / expected - 1)).toBeLessThan(0.02)
})

test("layers have the ratios of the model", () => {
  const ratios = Array.from({ length: 43 }, (_, layer) => kvcRatio(layer))
  const count = (ratio: number): number => ratios.filter((each) => each === ratio).length
  expect([count(0), count(4), count(128)]).toEqual([2, 21, 20])
})

test.each([
  ["tools", TOOLS, true],
  ["an empty trailer", [], true],
  ["no trailer", [], false],
] as const)(
  "a file with %s is read, and written again byte for byte",
  async (_, tools, hasTools) => {
    const { bytes } = await written(tools, hasTools)
    const file = await reopened(bytes)
    expect(file.tools.map(({ id, block }) => [...id, -1, ...block])).toEqual(
      tools.map(({ id, block }) => [...id, -1, ...block]),
    )
    expect(await file.shape()).toEqual(SMALL)
    const files = new MemoryFiles()
    files.folders.add(".")
    const { header, text } = file
    const output = await files.create("y.kv")
    await writeKvcFile(output, { header, text, payload: file.payload(), tools: file.tools })
    expect(Buffer.compare(files.contents.get("y.kv") ?? TEXT, bytes)).toBe(0)
  },
)

test("pieces lie where the payload has them", async () => {
  const file = await reopened((await written()).bytes)
  const pieces = kvcPieces(await file.shape())
  const parts = await Promise.all(pieces.map((piece) => file.piece(piece)))
  expect(Buffer.compare(Buffer.concat(parts), PAYLOAD)).toBe(0)
  const ids = pieces.find(({ name }) => name === "token ids")
  expect(Buffer.from(parts[1] ?? []).readInt32LE(4)).toBe(tokenIds(300, 1)[1] ?? -1)
  expect(ids?.length).toBe(1200)
})

const outcome = async (bytes: Uint8Array): Promise<string> =>
  codeOf(reopened(bytes).then((file) => file.shape()))

test("a file cut anywhere, or longer, is refused", async () => {
  const { bytes } = await written()
  for (let length = 0; length < bytes.length; length += length < 200 ? 1 : 97)
    expect({ length, code: await outcome(bytes.subarray(0, length)) }).toEqual({
      length,
      code: "DAMAGED",
    })
  expect(await outcome(Buffer.concat([bytes, Buffer.from([0])]))).toBe("DAMAGED")
  expect(await outcome(bytes)).toBe("none")
})

test("hostile counts are refused before anything is allocated", async () => {
  const { bytes } = await written()
  const payload = 52 + TEXT.length
  const trailer = payload + PAYLOAD.length
  const counts = kvcPieces(SMALL).find(({ name }) => name === "compressed counts")?.offset ?? 0
  const places = [40, 48, payload + 28, payload + 32, payload + 36, payload + 44, payload + 48]
  places.push(payload + counts + 16, trailer + 4, trailer + 8, trailer + 12)
  for (const at of places)
    for (const value of [0xffffffff, 0x7fffffff, 2 ** 24]) {
      const copy = bytes.slice()
      viewOf(copy).setUint32(at, value, true)
      expect({ at, value, code: await outcome(copy) }).toEqual({ at, value, code: "DAMAGED" })
    }
  const large = bytes.slice()
  viewOf(large).setBigUint64(40, 2n ** 64n - 1n, true)
  expect(await outcome(large)).toBe("DAMAGED")
})

test("mutated files are read or refused, and nothing else", async () => {
  const { bytes } = await written()
  const random = randomNumbers(11)
  const codes = new Set<string>()
  for (let round = 0; round < 5000; round++) {
    const copy = bytes.slice()
    for (let change = Math.ceil(random() * 3); change > 0; change--) {
      const reach = random() < 0.6 ? 130 : copy.length
      copy[Math.floor(random() * reach)] = Math.floor(random() * 256)
    }
    codes.add(await outcome(copy))
  }
  expect([...codes].toSorted()).toEqual(["DAMAGED", "INCOMPATIBLE", "none"])
})

test("a payload of another length than announced is not written", async () => {
  const files = new MemoryFiles()
  files.folders.add(".")
  const output = await files.create("x.kv")
  const write = (payload: Uint8Array[]): Promise<void> =>
    writeKvcFile(output, { header: HEADER, text: TEXT, payload, tools: TOOLS })
  expect(await codeOf(write([PAYLOAD.subarray(1)]))).toContain("ends 1 bytes early")
  expect(await codeOf(write([PAYLOAD, PAYLOAD]))).toContain("has over")
})

test("a folder lists, and gives texts and tool calls", async () => {
  const folder = temporaryFolder()
  mkdirSync(folder)
  const { bytes } = await written(TOOLS.slice(0, 1))
  const key = kvcKey(TEXT)
  const broken = "0".repeat(40)
  writeFileSync(join(folder, `${key}.kv`), bytes)
  writeFileSync(join(folder, `${broken}.kv`), "KVC\x07".padEnd(60))
  writeFileSync(join(folder, "f".repeat(40) + ".kv"), bytes)
  writeFileSync(join(folder, `${key}.kv.tmp.12`), "x")
  writeFileSync(join(folder, "notes.kv"), "x")
  const listings = await listKvcFolder(folder)
  expect(listings.map((each) => [each.key, each.tokens, each.problem])).toEqual(
    [
      [broken, 0, "has version 7, expected 1"],
      [key, 300, undefined],
      ["f".repeat(40), 300, undefined],
    ].toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
  )
  expect(listings.find((each) => each.key === key)).toMatchObject({
    reason: "agent system",
    hits: 9,
    bytes: bytes.length,
  })
  expect(await importKvcFile(folder, key)).toEqual({
    text: TEXT.toString(),
    isVisibleText: true,
    tools: [{ id: "call_1", block: "<tool>{}</tool>" }],
  })
  expect(await codeOf(importKvcFile(folder, "f".repeat(40)))).toBe("DAMAGED")
  expect(await codeOf(importKvcFile(folder, broken))).toBe("INCOMPATIBLE")
  expect(await listKvcFolder(join(folder, "none"))).toEqual([])
})
