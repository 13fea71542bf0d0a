// The cases that this reader shares with the native one of the expert library.
import { expect, test } from "bun:test"
import { join } from "node:path"
import type { ByteSource } from "../byte-source.ts"
import { ModelFileError } from "../model-file-error.ts"
import { readSafetensorsHeader } from "./header.ts"

const CASES = join(import.meta.dir, "../../../../tests/fixtures/safetensors-cases/cases.json")

interface FileCase {
  readonly name: string
  readonly valid: boolean
  readonly header?: string
  readonly header_hex?: string
  readonly length_hex?: string
  readonly data_bytes: number
  readonly cut_bytes?: number
  readonly nested_lists?: number
  readonly tensors?: readonly {
    readonly name: string
    readonly dtype: string
    readonly shape: readonly number[]
    readonly offset_in_data: number
    readonly bytes: number
  }[]
}

const cases = (await Bun.file(CASES).json()) as readonly FileCase[]

function headerBytes({ header, header_hex, nested_lists }: FileCase): Buffer {
  if (header_hex !== undefined) return Buffer.from(header_hex, "hex")
  const lists = "[".repeat(nested_lists ?? 0) + "]".repeat(nested_lists ?? 0)
  return Buffer.from((header ?? "").replace("$", lists))
}

function sourceOf(fileCase: FileCase): ByteSource {
  const header = headerBytes(fileCase)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const whole = Buffer.concat([
    fileCase.length_hex === undefined ? length : Buffer.from(fileCase.length_hex, "hex"),
    header,
    Buffer.alloc(fileCase.data_bytes),
  ])
  const bytes = whole.subarray(0, whole.length - (fileCase.cut_bytes ?? 0))
  return {
    path: "a.safetensors",
    bytes: bytes.length,
    read: (offset, count) =>
      Promise.resolve(new Uint8Array(bytes.subarray(offset, offset + count))),
  }
}

test.each(cases.map((each) => [each.name, each] as const))("%s", async (_, fileCase) => {
  if (!fileCase.valid) {
    expect(readSafetensorsHeader(sourceOf(fileCase))).rejects.toBeInstanceOf(ModelFileError)
    return
  }
  const { entries, dataBegin } = await readSafetensorsHeader(sourceOf(fileCase))
  const found = entries.map(({ offset, ...entry }) => ({
    ...entry,
    offset_in_data: offset - dataBegin,
  }))
  expect(found).toEqual(fileCase.tensors?.map((tensor) => ({ ...tensor })) as typeof found)
})
