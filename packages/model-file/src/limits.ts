// Upper bounds on the claims of a model file. Each is some way above the largest published model of
// the family (Pro: 61 layers, 384 experts, vocabulary 129280, 145116 tensors). With them a hostile
// file cannot make the reader allocate more than a few hundred MiB. The file's size bounds
// everything too.

/**
 * Longest GGUF header (metadata and directory). A vocabulary of 129280 with its merges takes about
 * 6 MiB.
 */
export const MAX_GGUF_HEADER_BYTES = 64 * 2 ** 20
/** Longest safetensors header; the format's own limit. */
export const MAX_SAFETENSORS_HEADER_BYTES = 100_000_000
/** Longest config.json or index; Pro's index takes about 13 MB. */
export const MAX_JSON_BYTES = 100_000_000
/** Tensors in one model: the Pro safetensors inventory has 145116. */
export const MAX_TENSORS = 2 ** 19
/** Metadata records in one GGUF file; published ones have about 60. */
export const MAX_METADATA_RECORDS = 2 ** 16
/**
 * Elements of all metadata arrays together; vocabulary, merges and token types take about 0.4
 * million.
 */
export const MAX_METADATA_ELEMENTS = 2 ** 24
/** Arrays inside arrays; no known file has any. */
export const MAX_METADATA_DEPTH = 4
/** Bytes of a metadata key: the GGUF specification's limit. */
export const MAX_KEY_BYTES = 65535
/** Bytes of a tensor name; the longest published one has 46. */
export const MAX_TENSOR_NAME_BYTES = 256
/** Dimensions of a tensor: ggml stops at four. */
export const MAX_DIMENSIONS = 4
/** Alignment of GGUF data; 32 by default, 4096 where files are made for direct reads. */
export const MAX_ALIGNMENT = 2 ** 20
/** Files of one model; Flash has 46 shards, Pro 64. GGUF's own counter is 16 bits wide. */
export const MAX_FILES = 4096

/** Bounds of the numbers of a ModelConfig. Their products stay below 2^53. */
export const CONFIG_LIMITS = {
  layers: 1024,
  hidden: 2 ** 17,
  vocab: 2 ** 22,
  heads: 4096,
  headDim: 8192,
  qLoraRank: 2 ** 16,
  oGroups: 4096,
  oLoraRank: 2 ** 16,
  experts: 4096,
  moeIntermediateSize: 2 ** 17,
  slidingWindow: 2 ** 20,
  indexHeads: 4096,
  indexHeadDim: 8192,
  indexTopK: 2 ** 20,
  streams: 16,
  sinkhornIterations: 1000,
  contextTokens: 2 ** 30,
  mtpBlocks: 16,
  /**
   * layers times experts: a safetensors folder holds six tensors for each (Pro: 61 * 384 = 23424).
   */
  expertsInAll: 2 ** 16,
} as const
