// Every tolerance of the parity tests, by what is compared. They may only be tightened. Each is at
// most three times the largest error of all cases. Next to it stands what the three kernel sets
// (generic, AVX2, AVX-512) showed.
export const TOLERANCE = {
  /** Largest differences of f32 arithmetic to the runs in tests/vectors, plain numerics. */
  plain: {
    /** To f64 at the last position, to f32 at all. Measured 3.1e-5. */
    logits: 9e-5,
    /** Residual streams after attention and after a layer. Measured 6.2e-5. */
    streams: 1.8e-4,
    /** Normed inputs of attention and experts. Measured 8.7e-6. */
    blockInputs: 2.6e-5,
    /** Outputs of attention and experts, before they enter the streams. Measured 2.9e-5. */
    blockOutputs: 8.5e-5,
    /** Pre-activation scores of the router. Measured 5.9e-6. */
    routeLogits: 1.7e-5,
    /** Measured 2.5e-6. */
    routeWeights: 7.4e-6,
    /** Weights with which hyper-connections spread a block's output. Measured 2.7e-6. */
    postWeights: 8.2e-6,
    /** Mixing matrices of hyper-connections. Measured 1.6e-6. */
    combWeights: 4.9e-6,
    /** Scores of the indexer. Measured 7.7e-6. */
    indexScores: 2.3e-5,
    /** Compressed rows before they are stored. Measured 2.2e-5. */
    compressed: 6.5e-5,
    /** Collapsed streams before the last norm. Measured 1.1e-4. */
    collapsed: 3e-4,
    /** Normed input of the output matrix. Measured 1.2e-5. */
    hidden: 3.5e-5,
  },
  /**
   * Trained numerics: the last logits of the prompts whose roundings are known to be stable.
   * Measured 7.7e-6.
   */
  trainedStable: 2.3e-5,
  /**
   * Trained numerics, any prompt and position: so many times the recorded spread of f32 engines
   * there. Measured 1.01, no position beyond.
   */
  trainedSpreads: 3,
  /**
   * Arithmetic that is wrong by one rounding lies at least so far from the recorded logits: the
   * least of the five distances over three. Measured 0.21.
   */
  wrongRounding: 7e-2,
  /**
   * llama.cpp on weights decoded to F32: largest logit difference of any position over the
   * deviation of its logits. Measured 1.8e-5 and 7.0e-6.
   */
  llamaLogits: { "tiny-a": 5e-5, "tiny-b": 2e-5 },
  /**
   * By how much our median distance to llama.cpp with 8-bit activations may exceed its own.
   * Measured 5.2e-6.
   */
  llamaMedian: 1.5e-5,
  /**
   * Relative RMS of logits, packed experts of an arithmetic against mapped ones in f32, all else
   * plain. Measured 7.2e-7, 5.9e-2 (AVX2; 4.1e-2 elsewhere), 1.4e-1 and 2.4e-1.
   */
  packedExperts: { f32: 1.9e-6, bf16: 1.2e-1, int8: 2e-1, fp8ref: 4e-1 },
  /**
   * Relative RMS of logits, dense matrices packed against mapped, at 7 positions whose roundings to
   * int8 agree. Measured 2.8e-7 with AVX-512; other sets pack nothing.
   */
  packedDense: 8e-7,
} as const
