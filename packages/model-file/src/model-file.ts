// The one form that both containers take. Code behind it does not know which one a model came from.
import type { ContainerFormat } from "./inventory.ts"
import type { ModelConfig } from "./model-config.ts"
import type { TensorEntry } from "./tensor-table.ts"

/** Where the vocabulary is: in the GGUF metadata, or in a tokenizer.json beside the shards. */
export type TokenizerSource =
  | { kind: "gguf"; path: string; metadata: ReadonlyMap<string, unknown> }
  | { kind: "tokenizer.json"; path: string }

/**
 * A checked model: its configuration and where each weight lies. The weights themselves are not
 * read.
 */
export interface ModelFile {
  format: ContainerFormat
  path: string
  /** TensorEntry.file and .scaleFile are indices into this list. */
  files: { path: string; bytes: number }[]
  config: ModelConfig
  tensors: TensorEntry[]
  /** Tensors of parts that we do not run, such as multi-token prediction. */
  ignoredTensors: string[]
  warnings: string[]
  /** GGUF metadata, or the top-level keys of config.json. */
  metadata: ReadonlyMap<string, unknown>
  /** Undefined when the model carries no vocabulary. */
  tokenizer: TokenizerSource | undefined
}
