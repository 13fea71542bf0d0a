// Stored matrices of one expert, as native code takes them.
import { ptr } from "bun:ffi"
import { invalid } from "./errors.ts"
import type { ExpertMethod } from "./expert-shape.ts"
import { KTB, KTB_MATRIX } from "./symbols.ts"

export interface StoredMatrix {
  /**
   * Canonical bytes, row-major: MXFP4 E2M1 pairs [rows, cols / 2], FP8 E4M3 [rows, cols], BF16
   * [rows, cols], GGUF blocks.
   */
  codes: Uint8Array
  /**
   * MXFP4: E8M0 [rows, cols / 32]. FP8: E8M0 or f32 [rows / 128, cols / 128]. FP8_PERCHANNEL: f32
   * [rows]. The others: none.
   */
  scales?: Uint8Array | Float32Array
}

/** Gate w1 and up w3 [moeIntermediateSize, hidden], down w2 [hidden, moeIntermediateSize]. */
export interface ExpertWeights {
  w1: StoredMatrix
  w3: StoredMatrix
  w2: StoredMatrix
}

/**
 * Structs of a call and everything that they point to: buffers that do not move while somebody
 * holds this.
 */
export interface NativeMatrices {
  readonly structs: readonly [gate: Uint8Array, up: Uint8Array, down: Uint8Array]
  readonly held: readonly Uint8Array[]
}

const WITHOUT_SCALES: Readonly<Partial<Record<ExpertMethod, number>>> = {
  BF16: KTB.KTB_FORMAT_BF16,
  Q8_0: KTB.KTB_FORMAT_Q8_0,
  Q2_K: KTB.KTB_FORMAT_Q2_K,
  Q4_K: KTB.KTB_FORMAT_Q4_K,
  IQ2_XXS: KTB.KTB_FORMAT_IQ2_XXS,
}

function formatOf(method: ExpertMethod, name: string, { scales }: StoredMatrix): number {
  const plain = WITHOUT_SCALES[method]
  if (plain !== undefined)
    return scales === undefined
      ? plain
      : invalid(`${name}: ${method} has no scales apart from its values`)
  if (scales instanceof Float32Array && method !== "MXFP4")
    return method === "FP8" ? KTB.KTB_FORMAT_FP8_F32 : KTB.KTB_FORMAT_FP8_ROWS
  if (scales instanceof Uint8Array && method !== "FP8_PERCHANNEL")
    return method === "FP8" ? KTB.KTB_FORMAT_FP8 : KTB.KTB_FORMAT_FP4
  const expected =
    method === "MXFP4"
      ? "a Uint8Array (E8M0)"
      : method === "FP8"
        ? "a Uint8Array (E8M0) or a Float32Array"
        : "a Float32Array"
  return invalid(`${name}: scales of ${method} are ${expected}`)
}

/**
 * A copy whose memory is its own: the caller's array may be changed, transferred or collected
 * meanwhile.
 */
function fixedCopy(of: Uint8Array | Float32Array): Uint8Array {
  const copy = new Uint8Array(new ArrayBuffer(of.byteLength))
  copy.set(new Uint8Array(of.buffer, of.byteOffset, of.byteLength))
  return copy
}

/**
 * Sizes are left to the library, which names the matrix, what it expected and what came.
 * @throws ExpertPoolError ARGUMENT for scales that the method does not have or lacks
 */
export function nativeMatrices(method: ExpertMethod, weights: ExpertWeights): NativeMatrices {
  const held: Uint8Array[] = []
  const structOf = (name: "w1" | "w2" | "w3"): Uint8Array => {
    const matrix = weights[name]
    if (!(matrix?.codes instanceof Uint8Array))
      invalid(`${name}: codes are expected as a Uint8Array`)
    const format = formatOf(method, name, matrix)
    if (matrix.codes.length === 0) invalid(`${name}: codes are empty`)
    const codes = fixedCopy(matrix.codes)
    const scales =
      matrix.scales === undefined || matrix.scales.length === 0
        ? undefined
        : fixedCopy(matrix.scales)
    const struct = KTB_MATRIX.create({
      data: ptr(codes),
      scales: scales === undefined ? 0 : ptr(scales),
      data_bytes: codes.length,
      scale_bytes: scales?.length ?? 0,
      format,
    })
    held.push(codes, struct, ...(scales === undefined ? [] : [scales]))
    return struct
  }
  return { structs: [structOf("w1"), structOf("w3"), structOf("w2")], held }
}
