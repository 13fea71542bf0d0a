// A second, plain decoder of storage types, written from the formats' definitions: the tests'
// oracle for what conversion may and may not change.
import { diskFiles, tensorTypeById, type ModelFile, type TensorEntry } from "@ds4/model-file"

const scratch = new DataView(new ArrayBuffer(4))
function f32OfBits(bits: number): number {
  scratch.setUint32(0, bits)
  return scratch.getFloat32(0)
}

function f16(bits: number): number {
  const exponent = (bits >> 10) & 31
  const mantissa = bits & 1023
  const magnitude =
    exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15)
  return (bits & 0x8000) === 0 ? magnitude : -magnitude
}

function e4m3(code: number): number {
  const exponent = (code >> 3) & 15
  const mantissa = code & 7
  const magnitude = exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7)
  return (code & 0x80) === 0 ? magnitude : -magnitude
}

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
const e2m1 = (code: number): number => ((code & 8) === 0 ? 1 : -1) * (E2M1[code & 7] ?? Number.NaN)
const POWERS = Array.from({ length: 255 }, (_, code) => 2 ** (code - 127))
const e8m0 = (code: number): number => POWERS[code] ?? Number.NaN

type Decoder = (
  codes: DataView,
  scales: Uint8Array,
  rows: number,
  cols: number,
  out: Float32Array,
) => void

const E4M3 = Array.from({ length: 256 }, (_, code) => e4m3(code))

const perElement =
  (read: (codes: DataView, index: number) => number): Decoder =>
  (codes, _scales, rows, cols, out) => {
    for (let i = 0; i < rows * cols; i++) out[i] = read(codes, i)
  }

const DECODERS: Readonly<Record<string, Decoder>> = {
  F32: perElement((codes, i) => codes.getFloat32(4 * i, true)),
  F16: perElement((codes, i) => f16(codes.getUint16(2 * i, true))),
  BF16: perElement((codes, i) => f32OfBits(codes.getUint16(2 * i, true) * 65536)),
  I32: perElement((codes, i) => codes.getInt32(4 * i, true)),
  I64: perElement((codes, i) => Number(codes.getBigInt64(8 * i, true))),
  Q8_0: perElement(
    (codes, i) =>
      f16(codes.getUint16(34 * Math.floor(i / 32), true)) *
      codes.getInt8(34 * Math.floor(i / 32) + 2 + (i % 32)),
  ),
  MXFP4: perElement((codes, i) => {
    const block = 17 * Math.floor(i / 32)
    const byte = codes.getUint8(block + 1 + (i % 16))
    return e2m1(i % 32 < 16 ? byte & 15 : byte >> 4) * e8m0(codes.getUint8(block))
  }),
  F8_E4M3: (codes, scales, rows, cols, out) => {
    const perRow = Math.ceil(cols / 128)
    for (let i = 0; i < rows * cols; i++) {
      const row = Math.floor(i / cols)
      out[i] =
        (E4M3[codes.getUint8(i)] ?? Number.NaN) *
        e8m0(scales[Math.floor(row / 128) * perRow + Math.floor((i % cols) / 128)] ?? 255)
    }
  },
  FP4_PACKED: (codes, scales, rows, cols, out) => {
    for (let i = 0; i < rows * cols; i++) {
      const byte = codes.getUint8(Math.floor(i / 2))
      out[i] = e2m1(i % 2 === 0 ? byte & 15 : byte >> 4) * e8m0(scales[Math.floor(i / 32)] ?? 255)
    }
  },
}

/** All values of one tensor, [depth * rows * cols]. */
export async function tensorValues(file: ModelFile, tensor: TensorEntry): Promise<Float32Array> {
  const read = async (index: number, offset: number, bytes: number): Promise<Uint8Array> =>
    (await diskFiles.open(file.files[index]?.path ?? "")).read(offset, bytes)
  const codes = await read(tensor.file, tensor.offset, tensor.bytes)
  const scales =
    tensor.scaleBytes === 0
      ? new Uint8Array(0)
      : await read(tensor.scaleFile, tensor.scaleOffset, tensor.scaleBytes)
  const decoder = DECODERS[tensorTypeById(tensor.type)?.name ?? ""]
  if (decoder === undefined) throw new Error(`no decoder for type ${tensor.type}`)
  const rows = tensor.depth * tensor.rows
  const out = new Float32Array(rows * tensor.cols)
  decoder(
    new DataView(codes.buffer, codes.byteOffset, codes.byteLength),
    scales,
    rows,
    tensor.cols,
    out,
  )
  return out
}
