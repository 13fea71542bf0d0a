// Draws the weights of a tiny model of the DeepSeek V4 architecture. Every tensor has its own
// stream of random numbers, seeded by the model's seed and the CRC-32 of a name. The order in which
// tensors are drawn changes nothing.
import { NumpyRandom } from "./numpy-random.ts"
import { bf16Bits, quantiseFp4, quantiseFp8 } from "./quantise.ts"

/** The keys of config.json that decide shapes and scales of weights. */
export interface TinyConfig {
  readonly compress_ratios: readonly number[]
  readonly hc_mult: number
  readonly head_dim: number
  readonly hidden_size: number
  readonly index_head_dim: number
  readonly index_n_heads: number
  readonly moe_intermediate_size: number
  readonly n_routed_experts: number
  readonly num_attention_heads: number
  readonly num_experts_per_tok: number
  readonly num_hash_layers: number
  readonly num_hidden_layers: number
  readonly o_groups: number
  readonly o_lora_rank: number
  readonly q_lora_rank: number
  readonly swiglu_limit: number
  readonly vocab_size: number
}

export type StoredType = "I64" | "F32" | "BF16" | "F8_E4M3" | "F8_E8M0" | "I8"

export interface StoredTensor {
  readonly type: StoredType
  /** Rows before columns; an I8 column holds two FP4 values. */
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Root mean square of the gains 1/2, 1 and 2, by which neighbouring scales differ. */
const GAIN_RMS = 1.3229

/** Root mean square of silu(g) * u for independent normal g, u of deviation `sigma`. */
function gatedRms(sigma: number): number {
  let weighted = 0
  let total = 0
  for (let step = 0; step <= 4000; step++) {
    const z = -8 + step * 0.004
    const density = Math.exp((-z * z) / 2)
    const silu = (sigma * z) / (1 + Math.exp(-sigma * z))
    weighted += silu * silu * density
    total += density
  }
  return Math.sqrt(weighted / total) * sigma
}

class Weights {
  readonly tensors = new Map<string, StoredTensor>()

  constructor(
    private readonly seed: number,
    private readonly config: TinyConfig,
  ) {}

  random(name: string): NumpyRandom {
    return new NumpyRandom(this.seed, Bun.hash.crc32(name))
  }

  f32(name: string, shape: readonly number[], values: ArrayLike<number>): void {
    this.tensors.set(name, { type: "F32", shape, bytes: bytesOf(Float32Array.from(values)) })
  }

  normal(name: string, shape: readonly number[], change: (value: number) => number): void {
    const count = shape.reduce((product, size) => product * size, 1)
    this.f32(name, shape, this.random(name).standardNormal(count).map(change))
  }

  bf16(name: string, shape: readonly number[], deviation: number, mean = 0): void {
    const count = shape.reduce((product, size) => product * size, 1)
    const values = this.random(name).standardNormal(count)
    const bits = bf16Bits(values.map((value) => value * deviation + mean))
    this.tensors.set(name, { type: "BF16", shape, bytes: bytesOf(bits) })
  }

  fp8(name: string, rows: number, columns: number, deviation: number): void {
    const random = this.random(name)
    const values = random.standardNormal(rows * columns)
    const perRow = columns / 128
    const gains = random.integers(-1, 2, (rows / 128) * perRow)
    for (let at = 0; at < values.length; at++) {
      const block = Math.floor(at / columns / 128) * perRow + Math.floor((at % columns) / 128)
      values[at] = (((values[at] ?? 0) * deviation) / GAIN_RMS) * 2 ** (gains[block] ?? 0)
    }
    const { codes, scales } = quantiseFp8(values, rows, columns)
    const shape = [rows, columns]
    this.tensors.set(`${name}.weight`, { type: "F8_E4M3", shape, bytes: codes })
    const blocks = [rows / 128, columns / 128]
    this.tensors.set(`${name}.scale`, { type: "F8_E8M0", shape: blocks, bytes: scales })
  }

  fp4(name: string, rows: number, columns: number, deviation: number): void {
    const random = this.random(name)
    const values = random.standardNormal(rows * columns)
    const gains = random.integers(-1, 2, (rows * columns) / 32)
    for (let at = 0; at < values.length; at++)
      values[at] = (((values[at] ?? 0) * deviation) / GAIN_RMS) * 2 ** (gains[at >>> 5] ?? 0)
    const { codes, scales } = quantiseFp4(values)
    this.tensors.set(`${name}.weight`, { type: "I8", shape: [rows, columns / 2], bytes: codes })
    const groups = [rows, columns / 32]
    this.tensors.set(`${name}.scale`, { type: "F8_E8M0", shape: groups, bytes: scales })
  }

  model(): void {
    const { config } = this
    const hidden = config.hidden_size
    const streams = config.hc_mult
    this.bf16("embed.weight", [config.vocab_size, hidden], 1)
    this.bf16("head.weight", [config.vocab_size, hidden], 2.2 / Math.sqrt(hidden))
    this.bf16("norm.weight", [hidden], 0.2, 1)
    const root = Math.sqrt(streams * hidden)
    this.normal("hc_head_fn", [streams, streams * hidden], (value) => value / root)
    this.normal("hc_head_base", [streams], (value) => value * 0.6)
    this.f32("hc_head_scale", [1], [1.1])
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const prefix = `layers.${layer}.`
      this.bf16(`${prefix}attn_norm.weight`, [hidden], 0.2, 1)
      this.bf16(`${prefix}ffn_norm.weight`, [hidden], 0.2, 1)
      this.hyperConnections(`${prefix}hc_attn_`)
      this.hyperConnections(`${prefix}hc_ffn_`)
      this.attention(`${prefix}attn.`, config.compress_ratios[layer] ?? 0)
      this.mixtureOfExperts(`${prefix}ffn.`, layer < config.num_hash_layers)
    }
  }

  private hyperConnections(prefix: string): void {
    const { hc_mult: streams, hidden_size: hidden } = this.config
    const rows = (2 + streams) * streams
    const root = Math.sqrt(streams * hidden)
    this.normal(`${prefix}fn`, [rows, streams * hidden], (value) => value / root)
    this.f32(`${prefix}base`, [rows], this.mixingBase(`${prefix}base`))
    const around = [0.8, 1, 1.3]
    const offsets = this.random(`${prefix}scale`).uniform(-0.2, 0.2, 3)
    this.f32(
      `${prefix}scale`,
      [3],
      around.map((value, index) => value + (offsets[index] ?? 0)),
    )
  }

  /** Biases of the weights before and after a sublayer, and of the mixing matrix near identity. */
  private mixingBase(name: string): number[] {
    const streams = this.config.hc_mult
    const random = this.random(name)
    const before = random.standardNormal(streams).map((value) => value * 0.6 - 0.3)
    const after = random.standardNormal(streams).map((value) => value * 0.6)
    const matrix = random
      .standardNormal(streams * streams)
      .map((value, index) => value * 0.7 + (index % (streams + 1) === 0 ? 1.5 : 0))
    return [...before, ...after, ...matrix]
  }

  private attention(prefix: string, ratio: number): void {
    const { config } = this
    const hidden = config.hidden_size
    const rank = config.q_lora_rank
    const width = config.num_attention_heads * config.head_dim
    const grouped = width / config.o_groups
    const output = config.o_groups * config.o_lora_rank
    this.fp8(`${prefix}wq_a`, rank, hidden, 1 / Math.sqrt(hidden))
    this.bf16(`${prefix}q_norm.weight`, [rank], 0.2, 1)
    this.fp8(`${prefix}wq_b`, width, rank, 1 / Math.sqrt(rank))
    this.fp8(`${prefix}wkv`, config.head_dim, hidden, 1 / Math.sqrt(hidden))
    this.bf16(`${prefix}kv_norm.weight`, [config.head_dim], 0.2, 1.2)
    this.fp8(`${prefix}wo_a`, output, grouped, 1.6 / Math.sqrt(grouped))
    this.fp8(`${prefix}wo_b`, hidden, output, 1.6 / Math.sqrt(output))
    this.normal(`${prefix}attn_sink`, [config.num_attention_heads], (value) => value + 1.5)
    if (ratio !== 0) this.compressor(`${prefix}compressor.`, config.head_dim, ratio)
    if (ratio === 4) this.indexer(`${prefix}indexer.`, ratio)
  }

  private compressor(prefix: string, headDim: number, ratio: number): void {
    const hidden = this.config.hidden_size
    const width = (ratio === 4 ? 2 : 1) * headDim
    this.bf16(`${prefix}wkv.weight`, [width, hidden], 1 / Math.sqrt(hidden))
    this.bf16(`${prefix}wgate.weight`, [width, hidden], 1.5 / Math.sqrt(hidden))
    this.normal(`${prefix}ape`, [ratio, width], (value) => value * 0.7)
    // larger at ratio 128, where few compressed rows compete with a full window
    this.bf16(`${prefix}norm.weight`, [headDim], 0.2, ratio === 4 ? 1.1 : 1.8)
  }

  private indexer(prefix: string, ratio: number): void {
    const { hidden_size: hidden, index_n_heads: heads, index_head_dim: headDim } = this.config
    const rank = this.config.q_lora_rank
    this.fp8(`${prefix}wq_b`, heads * headDim, rank, 1 / Math.sqrt(rank))
    this.bf16(`${prefix}weights_proj.weight`, [heads, hidden], 1 / Math.sqrt(hidden))
    this.compressor(`${prefix}compressor.`, headDim, ratio)
  }

  private mixtureOfExperts(prefix: string, isHashed: boolean): void {
    const { hidden_size: hidden, moe_intermediate_size: width, swiglu_limit: limit } = this.config
    const experts = this.config.n_routed_experts
    this.bf16(`${prefix}gate.weight`, [experts, hidden], 1.2 / Math.sqrt(hidden))
    if (isHashed) this.hashedRoutes(`${prefix}gate.tid2eid`)
    else this.normal(`${prefix}gate.bias`, [experts], (value) => value * 0.2)
    // a few percent of the routed experts' inputs to the clamp reach it; none of the shared one's
    const routed = 0.42 * limit
    for (let expert = 0; expert < experts; expert++) {
      const name = `${prefix}experts.${expert}.`
      this.fp4(`${name}w1`, width, hidden, routed / Math.sqrt(hidden))
      this.fp4(`${name}w3`, width, hidden, routed / Math.sqrt(hidden))
      this.fp4(`${name}w2`, hidden, width, 1.2 / (gatedRms(routed) * Math.sqrt(width)))
    }
    const shared = Math.min(1.2, limit / 10)
    const name = `${prefix}shared_experts.`
    this.fp8(`${name}w1`, width, hidden, shared / Math.sqrt(hidden))
    this.fp8(`${name}w3`, width, hidden, shared / Math.sqrt(hidden))
    this.fp8(`${name}w2`, hidden, width, 0.8 / (gatedRms(shared) * Math.sqrt(width)))
  }

  /** Token id -> experts, `[vocab, experts per token]`. */
  private hashedRoutes(name: string): void {
    const {
      vocab_size: vocab,
      num_experts_per_tok: chosen,
      n_routed_experts: experts,
    } = this.config
    const random = this.random(name)
    const ids = new BigInt64Array(vocab * chosen)
    for (let token = 0; token < vocab; token++) {
      const order = random.permutation(experts)
      for (let at = 0; at < chosen; at++) ids[token * chosen + at] = BigInt(order[at] ?? 0)
    }
    this.tensors.set(name, { type: "I64", shape: [vocab, chosen], bytes: bytesOf(ids) })
  }
}

/** All tensors of a tiny model, by name. */
export function drawWeights(config: TinyConfig, seed: number): ReadonlyMap<string, StoredTensor> {
  const weights = new Weights(seed, config)
  weights.model()
  return weights.tensors
}
