// A checked ModelFile handed to the library, which maps its files and checks every entry again.
import type { Pointer } from "bun:ffi"
import { setImmediate as turn } from "node:timers/promises"
import { cString } from "@ds4/ffi"
import { TENSOR_KINDS, type ModelConfig, type ModelFile, type TensorEntry } from "@ds4/model-file"
import { EngineError } from "../errors.ts"
import { engineLibrary } from "../library.ts"
import { LAYER_OPTIONS, SHAPE, TENSOR } from "../symbols.ts"
import { openPointer, OutHandle } from "./handle.ts"

/**
 * Entries given to the library at a time, so that an event loop gets its turn in between: a few
 * milliseconds each.
 */
const SLICE = 4096

const KIND_IDS: ReadonlyMap<string, number> = new Map(
  TENSOR_KINDS.map((kind, id) => [kind.name, id]),
)

export class NativeModel implements Disposable {
  private constructor(private handle: Pointer | undefined) {}

  /** @throws EngineError FORMAT or IO naming the tensor, and the file at fault */
  static async open(file: ModelFile): Promise<NativeModel> {
    try {
      return await NativeModel.build(file)
    } catch (error) {
      if (!(error instanceof EngineError) || error.message.includes(file.path)) throw error
      throw new EngineError(error.code, `${file.path}: ${error.message}`, { cause: error })
    }
  }

  private static async build(file: ModelFile): Promise<NativeModel> {
    const { symbols, check } = engineLibrary()
    const out = new OutHandle()
    const { config } = file
    check(
      "ds4_model_create",
      symbols.ds4_model_create(shapeOf(config), layerOptionsOf(config), config.layers, out.memory),
    )
    const model = new NativeModel(out.pointer)
    try {
      const index = new Uint32Array(1)
      const fileIds = file.files.map(({ path }) => {
        check("ds4_model_add_file", symbols.ds4_model_add_file(model.pointer, cString(path), index))
        return index[0] ?? 0
      })
      for (let begin = 0; begin < file.tensors.length; begin += SLICE) {
        if (begin > 0) await turn()
        model.add(file.tensors.slice(begin, begin + SLICE), fileIds)
      }
      check("ds4_model_seal", symbols.ds4_model_seal(model.pointer))
      return model
    } catch (error) {
      model.close()
      throw error
    }
  }

  get pointer(): Pointer {
    return openPointer(this.handle, "model")
  }

  private add(tensors: readonly TensorEntry[], fileIds: readonly number[]): void {
    const { symbols, check } = engineLibrary()
    const names = cString(tensors.map(({ name }) => name).join("\n"))
    const separator = "\n".charCodeAt(0)
    for (let i = 0; i < names.length; i++) if (names[i] === separator) names[i] = 0
    const table = new Uint8Array(TENSOR.bytes * tensors.length)
    const view = new DataView(table.buffer)
    let nameOffset = 0
    for (const [i, tensor] of tensors.entries()) {
      TENSOR.write(view, i * TENSOR.bytes, {
        kind: KIND_IDS.get(tensor.kind) ?? TENSOR_KINDS.length,
        layer: tensor.layer,
        expert: tensor.expert,
        type: tensor.type,
        rows: tensor.rows,
        cols: tensor.cols,
        depth: tensor.depth,
        file: fileIds[tensor.file] ?? 0xffffffff,
        offset: tensor.offset,
        bytes: tensor.bytes,
        scale_file: tensor.scaleBytes > 0 ? (fileIds[tensor.scaleFile] ?? 0xffffffff) : 0,
        scale_offset: tensor.scaleOffset,
        scale_bytes: tensor.scaleBytes,
        name_offset: nameOffset,
      })
      nameOffset += Buffer.byteLength(tensor.name) + 1
    }
    check(
      "ds4_model_add_tensors",
      symbols.ds4_model_add_tensors(
        this.pointer,
        table,
        BigInt(tensors.length),
        names,
        BigInt(names.length),
      ),
    )
  }

  /** Idempotent. Engines over the model must be closed first. */
  close(): void {
    if (this.handle === undefined) return
    engineLibrary().symbols.ds4_model_close(this.handle)
    this.handle = undefined
  }
  [Symbol.dispose](): void {
    this.close()
  }
}

function shapeOf(config: ModelConfig): Uint8Array {
  return SHAPE.create({
    layers: config.layers,
    hidden: config.hidden,
    vocab: config.vocab,
    heads: config.heads,
    head_dim: config.headDim,
    rope_dim: config.ropeDim,
    q_lora_rank: config.qLoraRank,
    o_groups: config.oGroups,
    o_lora_rank: config.oLoraRank,
    experts: config.experts,
    experts_per_token: config.expertsPerToken,
    moe_intermediate_size: config.moeIntermediateSize,
    hash_layers: config.hashLayers,
    sliding_window: config.slidingWindow,
    index_heads: config.indexHeads,
    index_head_dim: config.indexHeadDim,
    index_top_k: config.indexTopK,
    streams: config.streams,
    sinkhorn_iterations: config.sinkhornIterations,
    context_tokens: config.contextTokens,
    normalise_weights: config.normaliseWeights ? 1 : 0,
    norm_epsilon: config.normEpsilon,
    hc_epsilon: config.hcEpsilon,
    rope_theta: config.ropeTheta,
    compress_rope_theta: config.compressRopeTheta,
    yarn_factor: config.yarnFactor,
    yarn_beta_fast: config.yarnBetaFast,
    yarn_beta_slow: config.yarnBetaSlow,
    yarn_original_tokens: config.yarnOriginalTokens,
    routed_scale: config.routedScalingFactor,
  })
}

function layerOptionsOf(config: ModelConfig): Uint8Array {
  const table = new Uint8Array(LAYER_OPTIONS.bytes * config.layers)
  const view = new DataView(table.buffer)
  for (let layer = 0; layer < config.layers; layer++) {
    LAYER_OPTIONS.write(view, layer * LAYER_OPTIONS.bytes, {
      compress_ratio: config.compressRatios[layer] ?? 0,
      swiglu_limit: config.swigluLimit[layer] ?? 0,
      shared_swiglu_limit: config.sharedSwigluLimit[layer] ?? 0,
    })
  }
  return table
}
