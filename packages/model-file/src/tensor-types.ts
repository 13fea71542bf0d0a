// The one table of storage types. Ids are those of DS4_TYPE_* in native/include/ds4.h: GGUF's where
// GGUF has the type, from 1000 where only safetensors has it.
export interface TensorType {
  readonly id: number
  readonly name: string
  /**
   * Values in one block and bytes of one block. FP4_PACKED and F8_E4M3 count their code bytes only.
   */
  readonly block: number
  readonly blockBytes: number
  /** Block scales inside each block, which must be finite numbers. */
  readonly scales: readonly { readonly kind: "f16" | "e8m0"; readonly offset: number }[]
}

const type = (
  id: number,
  name: string,
  block: number,
  blockBytes: number,
  scales: TensorType["scales"] = [],
): TensorType => ({ id, name, block, blockBytes, scales })

export const TENSOR_TYPES = {
  F32: type(0, "F32", 1, 4),
  F16: type(1, "F16", 1, 2),
  Q8_0: type(8, "Q8_0", 32, 34, [{ kind: "f16", offset: 0 }]),
  Q2_K: type(10, "Q2_K", 256, 84, [
    { kind: "f16", offset: 80 },
    { kind: "f16", offset: 82 },
  ]),
  Q4_K: type(12, "Q4_K", 256, 144, [
    { kind: "f16", offset: 0 },
    { kind: "f16", offset: 2 },
  ]),
  IQ2_XXS: type(16, "IQ2_XXS", 256, 66, [{ kind: "f16", offset: 0 }]),
  I32: type(26, "I32", 1, 4),
  I64: type(27, "I64", 1, 8),
  BF16: type(30, "BF16", 1, 2),
  MXFP4: type(39, "MXFP4", 32, 17, [{ kind: "e8m0", offset: 0 }]),
  F8_E4M3: type(1000, "F8_E4M3", 1, 1),
  FP4_PACKED: type(1001, "FP4_PACKED", 2, 1),
  F8_E8M0: type(1002, "F8_E8M0", 1, 1),
} as const satisfies Record<string, TensorType>

export type TensorTypeName = keyof typeof TENSOR_TYPES

const BY_ID: ReadonlyMap<number, TensorType> = new Map(
  Object.values(TENSOR_TYPES).map((t) => [t.id, t]),
)

/** The type with this DS4_TYPE_* number, or undefined. */
export const tensorTypeById = (id: number): TensorType | undefined => BY_ID.get(id)

/** The name for messages: "Q8_0", or "type 14" for a number that we do not know. */
export const tensorTypeName = (id: number): string => BY_ID.get(id)?.name ?? `type ${id}`

/** Bytes of `elements` consecutive values, or undefined if they do not fill whole blocks. */
export function elementBytes(of: TensorType, elements: number): number | undefined {
  if (elements % of.block !== 0) return undefined
  return (elements / of.block) * of.blockBytes
}
