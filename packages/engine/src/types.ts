// The types of an engine that other packages see. The native client and the fake of
// `@ds4/engine/testing` implement them.

import type { StoreStats } from "@ds4/kv-store"
import type { KvDiskOptions } from "./checkpoints/checkpoints.ts"
import type { KvFiles } from "./checkpoints/kv-files.ts"

export interface EngineOptions {
  /**
   * cuda: the whole model on one NVIDIA GPU, an error where none can be used. auto (default): the
   * CPU.
   */
  readonly backend?: "auto" | "cpu" | "cuda"
  /**
   * fast: the default arithmetic; trained: f32 with the trained-in roundings; plain: f32 without
   * them.
   */
  readonly numerics?: "fast" | "trained" | "plain"
  /** Worker threads; 0: the engine chooses the fastest count. */
  readonly threads?: number
  readonly isa?: "auto" | "generic" | "avx2" | "avx512"
  /** Longest sum of new tokens in one step; 0: the engine's default. */
  readonly maxStepTokens?: number
  /** Tokens of one session, capped at what the model was made for, which is also the default. */
  readonly contextTokens?: number
  /**
   * Memory for the states of sessions, in bytes. Default: 5% of the machine's, or room for two
   * sessions of the whole context; never more than half of it.
   */
  readonly cacheBytes?: number
  /** Keeps states on disk too, so that they outlast the process. Default: not. */
  readonly kvDisk?: KvDiskOptions
  /** Generations at once (default 4); later ones wait in order of arrival. */
  readonly maxSessions?: number
  /** How many may wait (default 64) before generate() throws BUSY. */
  readonly maxQueue?: number
  readonly switches?: EngineSwitches
  readonly experts?: ExpertOptions
  /**
   * Called when a stage of loading begins, and a few times a second while weights are packed, which
   * takes minutes for a large model.
   */
  readonly onLoad?: (progress: LoadProgress) => void
  /** Aborting ends loading, at its next layer at the latest, with EngineError CANCELLED. */
  readonly signal?: AbortSignal
}

/**
 * Where the routed experts run and how. Setting anything about the library (numerics to
 * libraryPath) asks for "packed".
 */
export interface ExpertOptions {
  /**
   * packed: in the CPU expert library, with a copy of the weights in memory. mapped: from the file.
   * auto (default): packed if everything fits into memory, else mapped; the engine's description
   * says which, and why.
   */
  readonly place?: "auto" | "packed" | "mapped"
  /** Arithmetic of packed experts; auto: int8 with fast numerics, f32 otherwise. */
  readonly numerics?: "auto" | "int8" | "bf16" | "fp8ref" | "f32"
  /** Workers of the library, pinned to cores. 0: the engine's own threads, on one NUMA node. */
  readonly threads?: number
  /** Slices of every expert, one per NUMA node. 0: as many as there are nodes. */
  readonly parts?: number
  /** Pack only the first so many layers. 0: all. */
  readonly layers?: number
  /** Another build of libkt_bridge. */
  readonly libraryPath?: string
  /**
   * Take the routed experts from this model instead, such as the official safetensors beside a
   * GGUF. loadModel only.
   */
  readonly weightsPath?: string
  /** Refuse experts that are stored otherwise: MXFP4, Q8_0 and so on. loadModel only. */
  readonly method?: string
}

export interface LoadProgress {
  /**
   * file: headers are read and checked. vocabulary: the tokenizer is made. weights: files are
   * mapped and the engine is set up. packing: routed experts, then dense matrices, are packed.
   */
  readonly stage: "file" | "vocabulary" | "weights" | "packing"
  readonly doneBytes: number
  /** 0: not known in this stage. */
  readonly totalBytes: number
}

/**
 * Deviations from the chosen numerics, for comparison with engines that leave a rounding out, and
 * one from the chosen memory.
 */
export interface EngineSwitches {
  readonly noKvRounding?: boolean
  readonly noIndexRounding?: boolean
  readonly noSharedClamp?: boolean
  readonly f32Activations?: boolean
  /** Dense matrices stay in the file: none is packed. */
  readonly mappedDense?: boolean
}

export interface SamplingOptions {
  /** Default 1; 0 or less: the likeliest token. */
  readonly temperature?: number
  /** Default 1. */
  readonly topP?: number
  /** Default 0: off; capped at 1024. */
  readonly topK?: number
  /** Default 0.05: relative to the likeliest token. */
  readonly minP?: number
  /** Default: drawn. Taken modulo 2^64. */
  readonly seed?: number | bigint
}

export interface GenerateRequest {
  readonly promptTokens: readonly number[]
  /** Default: as many as the context has room for. 0: only process the prompt. */
  readonly maxTokens?: number
  readonly sampling?: SamplingOptions
  /** Ids that end the answer and are not part of it. Default: the model's end token. */
  readonly stopTokens?: readonly number[]
  /**
   * Looked for in the bytes of the answer, across tokens; never in the thinking before
   * thinkCloseToken. Tokens up to the one that completes the match are delivered: cutting the text
   * is the caller's.
   */
  readonly stopStrings?: readonly string[]
  readonly logprobs?: boolean
  /** 0..20 alternatives a token; implies logprobs. */
  readonly topLogprobs?: number
  /**
   * Decode the syntax of tool calls greedily, and end the answer with reason "stop" where a block
   * of them closes. Only blocks count that are spelled as trained and no sample in Markdown code.
   */
  readonly toolZones?: boolean
  /** The tools whose calls count for toolZones; default: any. */
  readonly toolNames?: readonly string[]
  /** After so many tokens without thinkCloseToken it is forced. */
  readonly reasoningBudget?: number
  /** The prompt ends inside thinking, and this token ends it. */
  readonly thinkCloseToken?: number
  /** Aborting ends the answer with reason "cancelled", at once. */
  readonly signal?: AbortSignal
  /**
   * Offsets of promptTokens where messages begin, rising. Later prompts that share the messages
   * before one continue from there.
   */
  readonly messageBegins?: readonly number[]
  /**
   * Requests of one conversation give the same one: between states that serve equally well it
   * decides.
   */
  readonly sessionHint?: string
  /**
   * Returns the ids by which later prompts will show this prompt and its answer, where they leave
   * something out, such as past reasoning; else undefined. `generated` lacks the stop token. Such a
   * prompt continues the session as it is: the model goes on seeing what the prompt leaves out.
   */
  readonly shownAs?: (generated: readonly number[]) => readonly number[] | undefined
  /** A few words of the conversation, for lists of states on disk. */
  readonly preview?: string
  /** Look on disk too for the nearest known prompt, however little there is to read. */
  readonly explainCache?: boolean
}

export interface GeneratedToken {
  readonly id: number
  /** Log-softmax of the raw logits. */
  readonly logprob?: number
  readonly top?: readonly { readonly id: number; readonly logprob: number }[]
}

export interface Usage {
  readonly promptTokens: number
  /** Tokens of the prompt that a session already held. */
  readonly cachedTokens: number
  readonly generatedTokens: number
  readonly prefillMs: number
  readonly decodeMs: number
  readonly cache?: CacheReport
}

/** Where a request went on from, and where its prompt leaves what was known. */
export interface CacheReport {
  readonly source: "memory" | "disk" | "none"
  /** The known tokens that the prompt shares most with; absent: it shares none. */
  readonly nearest?: NearestPrefix
}

export interface NearestPrefix {
  readonly tier: "memory" | "disk"
  /** Tokens that both begin with. */
  readonly shared: number
  /** A few ids behind those: of what is known, and of the prompt. None where it ends. */
  readonly known: readonly number[]
  readonly prompted: readonly number[]
}

export type EndReason = "stop" | "length" | "context" | "stop-string" | "cancelled"

export type GenerateEvent =
  /**
   * The first event, once admitted, and again while the prompt is processed. `processed` counts
   * cached tokens too.
   */
  | {
      readonly type: "prefill"
      readonly processed: number
      readonly total: number
      readonly cached: number
    }
  /** Everything produced since the last event. */
  | { readonly type: "tokens"; readonly tokens: readonly GeneratedToken[] }
  | {
      readonly type: "end"
      readonly reason: EndReason
      readonly stopToken?: number
      readonly stopString?: string
      readonly usage: Usage
    }

export interface EngineModel {
  readonly name: string
  readonly vocab: number
  /** Tokens that one session holds, prompt and answer together. */
  readonly contextTokens: number
  /** Longest context that the model was made for: no session can hold more. */
  readonly longestContextTokens: number
  readonly path: string
  readonly description: string
  /** The embedded model. It is a toy, which its users should be told. */
  readonly isDemo: boolean
}

export interface EngineStats {
  readonly running: number
  readonly queued: number
  readonly prefixCache: PrefixCacheStats
  /** States on disk, where they are kept. */
  readonly kvStore?: StoreStats
}

export interface PrefixCacheStats {
  /** States from which later prompts can continue. */
  readonly prefixes: number
  /** Bytes of all states, those of running requests included, and the limit. */
  readonly bytes: number
  readonly budgetBytes: number
  /** Requests that continued from a state, and those that found none. */
  readonly hits: number
  readonly misses: number
  /** States that were dropped for want of room. */
  readonly evictions: number
}

export interface InferenceEngine {
  readonly model: EngineModel
  /**
   * Ends with an "end" event. Leaving the loop early cancels the work. A request may wait in a
   * queue first.
   * @throws EngineError ARGUMENT, CONTEXT_FULL or BUSY before the first event; another code when
   * the engine fails
   */
  generate(request: GenerateRequest): AsyncIterable<GenerateEvent>
  readonly stats: () => EngineStats
  /** States on disk, where they are kept. */
  readonly kv?: KvFiles | undefined
  /** Cancels what runs and waits for it. Idempotent. */
  close(): Promise<void>
}
