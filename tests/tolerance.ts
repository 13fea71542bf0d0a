// Every tolerance of the parity tests, by what is compared. They may only be tightened.
export const TOLERANCE = {
  /**
   * |logit| of f32 arithmetic against the recorded f32 and f64 runs (tests/vectors, plain
   * numerics).
   */
  plainLogits: 3e-4,
  /** Any value of a residual stream, f32 arithmetic. */
  plainStreams: 3e-4,
  /** Mixing weights of hyper-connections and routing weights, f32 arithmetic. */
  plainWeights: 2e-5,
  /** Trained numerics: every logit of the prompts whose roundings are known to be stable. */
  trainedStable: 1e-3,
  /**
   * Trained numerics, any prompt: a floor plus so many times the recorded spread of f32 engines at
   * that position.
   */
  trainedFloor: 3e-4,
  trainedSpreads: 4,
  /** Share of a prompt's positions that may lie beyond that. */
  trainedBeyond: 0.01,
  /**
   * llama.cpp on weights decoded to F32: largest logit difference of any position over the
   * deviation of its logits.
   */
  llamaLogits: 2e-4,
  /**
   * Relative RMS of logits, packed experts of an arithmetic against mapped ones in f32, all else
   * plain.
   */
  packedExperts: { f32: 1.9e-6, bf16: 1.2e-1, int8: 2e-1, fp8ref: 4e-1 },
} as const
