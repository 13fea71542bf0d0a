// A tensor of either container's header, before it is matched with the configuration.
import type { TensorType } from "./tensor-types.ts"

/** A tensor found in a file: how it is stored and where, nothing yet about what it is for. */
export interface StoredTensor {
  readonly name: string
  readonly type: TensorType
  /** Values, outermost dimension first. FP4_PACKED counts two values a byte. */
  readonly shape: readonly number[]
  /** Index into the model's files. */
  readonly file: number
  /** Absolute position in that file. */
  readonly offset: number
  readonly bytes: number
}
