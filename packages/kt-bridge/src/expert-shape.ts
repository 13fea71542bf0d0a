export interface ExpertShape {
  experts: number
  /** Routes of a token. */
  expertsPerToken: number
  /** Multiples of 128. */
  hidden: number
  moeIntermediateSize: number
  /** Clamp of gate and up; 0 for none. */
  swigluLimit: number
}

/**
 * How experts are stored. Folders hold the first four; the library takes the GGUF types from memory
 * only.
 */
export type ExpertMethod =
  | "MXFP4"
  | "FP8"
  | "FP8_PERCHANNEL"
  | "BF16"
  | "Q8_0"
  | "Q2_K"
  | "Q4_K"
  | "IQ2_XXS"

export interface ExpertMatrix {
  /** E2M1 pairs, canonical order [rows, cols / 2] */
  codes: Uint8Array
  /** E8M0 [rows, cols / 32] */
  scales: Uint8Array
}
