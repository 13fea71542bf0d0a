/** Rows of one tensor to be stored as another type. Types are DS4_TYPE_* numbers. */
interface RowConversion {
  readonly fromType: number
  /** [rows] rows of codes. */
  readonly from: Uint8Array
  /**
   * F8_E4M3: the scales of the whole tensor. FP4_PACKED: those of the given rows. Else undefined.
   */
  readonly scales: Uint8Array | undefined
  readonly toType: number
  /** Exactly the bytes that `rows` rows of the new type need. */
  readonly to: Uint8Array
  /** Index of the first given row in its tensor. */
  readonly rowBegin: number
  readonly rows: number
  readonly cols: number
}

/**
 * Fills `to`; throws when a scale is NaN or the pair of types is not possible. `ds4_convert_rows`
 * is the implementation.
 */
export type ConvertRows = (conversion: RowConversion) => void
