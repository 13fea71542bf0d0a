// Writes a model with the shape of Flash that is as large as the real one to every reader and takes
// almost no disk. Most of its weights are holes in the file, which read as zeros. Norms, scales,
// sinks, biases and routing tables hold sane values. The embedding of token 1, the head's first row
// and the leading expert of each layer hold weights. A forward pass therefore runs, and its logits
// are finite and differ.
// Usage, with a number of layers as a third argument for files that fit into memory:
//   bun scripts/make-sparse-flash.ts gguf TARGET.gguf
//     antirez dialect, IQ2_XXS and Q2_K experts, 86.7 GB
//   bun scripts/make-sparse-flash.ts safetensors FOLDER
//     official layout, 159.6 GB with the prediction block
import { mkdir, stat } from "node:fs/promises"
import { join } from "node:path"
import {
  FLASH_CONFIG,
  DTYPE_BYTES,
  TENSOR_TYPES,
  expectedTensors,
  metadataFromConfig,
  officialConfigJson,
  officialMtpInventory,
  officialStorage,
  storedBytes,
  writeGguf,
  writeSafetensors,
  type ByteSink,
  type ExpectedTensor,
  type GgufValue,
  type ModelConfig,
  type SafetensorsDtype,
  type StoredSafetensor,
  type TensorTypeName,
} from "@ds4/model-file"
import { CODE_POINT_OF_BYTE } from "@ds4/tokenizer"
import { REQUIRED_SPECIALS } from "@ds4/tokenizer/special-tokens"

/** Bytes of one shard of the safetensors folder, about as in the release. */
const SHARD_BYTES = 3.6e9
/** Row of the embedding that is not zero. */
const TOKEN = 1

/**
 * Types of the 2-bit recipe: experts IQ2_XXS and Q2_K, attention, shared experts and head Q8_0, the
 * rest F16.
 */
function twoBitType(tensor: ExpectedTensor): TensorTypeName {
  if (tensor.role === "table") return "I32"
  if (tensor.role === "vector") return "F32"
  if (tensor.role === "expert") return tensor.kind === "EXPERT_DOWN" ? "Q2_K" : "IQ2_XXS"
  if (tensor.kind === "OUTPUT") return "Q8_0"
  return tensor.official === "FP8" && tensor.kind !== "INDEXER_Q_B" ? "Q8_0" : "F16"
}

/** Little-endian bytes of equal values: 1 for norms and scales, a small number elsewhere. */
function vectorBytes(tensor: ExpectedTensor, dtype: string): Uint8Array {
  const value = tensor.kind.endsWith("_NORM") || tensor.kind.endsWith("_SCALE") ? 1 : 0.125
  if (dtype === "F32") return new Uint8Array(new Float32Array(tensor.cols).fill(value).buffer)
  const bits = new Uint32Array(new Float32Array([value]).buffer)
  // exact in BF16
  return new Uint8Array(new Uint16Array(tensor.cols).fill((bits[0] ?? 0) >>> 16).buffer)
}

/** Expert ids for each token: consecutive, so distinct, and in range. */
function tableBytes(tensor: ExpectedTensor, experts: number, wordBytes: number): Uint8Array {
  const bytes = new Uint8Array(tensor.rows * tensor.cols * wordBytes)
  const words = new Int32Array(bytes.buffer)
  const stride = wordBytes / 4
  for (let i = 0; i < tensor.rows * tensor.cols; i++)
    words[i * stride] = (Math.floor(i / tensor.cols) + (i % tensor.cols)) % experts
  return bytes
}

/** Blocks of a 16-bit or block type that decode to small nonzero numbers; f16 scales are 2^-10. */
function patternBytes(type: TensorTypeName, bytes: number): Uint8Array {
  const { blockBytes, scales } = TENSOR_TYPES[type]
  const block = new Uint8Array(blockBytes).fill(0x11)
  for (const { offset } of scales) block.set([0x00, 0x14], offset)
  if (type === "F16" || type === "BF16") block.set(type === "F16" ? [0x00, 0x28] : [0x00, 0x3d])
  const pattern = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += blockBytes) pattern.set(block, at)
  return pattern
}

async function fillHole(
  sink: ByteSink,
  bytes: number,
  at: number,
  piece: Uint8Array,
): Promise<void> {
  await sink.skip(at)
  await sink.write(piece)
  await sink.skip(bytes - at - piece.length)
}

async function fillGguf(
  tensor: ExpectedTensor,
  sink: ByteSink,
  config: ModelConfig,
): Promise<void> {
  const type = twoBitType(tensor)
  const bytes = storedBytes(tensor, type) ?? 0
  if (tensor.role === "vector") return sink.write(vectorBytes(tensor, type))
  if (tensor.role === "table") return sink.write(tableBytes(tensor, config.experts, 4))
  const rowBytes = bytes / (tensor.depth * tensor.rows)
  if (tensor.kind === "TOKEN_EMBD")
    return fillHole(sink, bytes, TOKEN * rowBytes, patternBytes(type, rowBytes))
  if (tensor.role === "expert" || tensor.kind === "OUTPUT")
    return fillHole(sink, bytes, 0, patternBytes(type, rowBytes))
  return sink.skip(bytes)
}

async function fillOfficial(
  tensor: ExpectedTensor,
  stored: StoredSafetensor,
  sink: ByteSink,
  config: ModelConfig,
): Promise<void> {
  if (stored.dtype === "F8_E8M0") {
    // Scales of 0 are 2^-127 and harmless: only those of the rows that are not zero get 2^-7.
    const filled = tensor.role === "expert" && tensor.expert === 0 ? (stored.shape[1] ?? 0) : 0
    return fillHole(sink, stored.bytes, 0, new Uint8Array(filled).fill(120))
  }
  if (tensor.role === "vector") return sink.write(vectorBytes(tensor, stored.dtype))
  if (tensor.role === "table") return sink.write(tableBytes(tensor, config.experts, 8))
  const rowBytes = stored.bytes / tensor.rows
  if (tensor.kind === "TOKEN_EMBD")
    return fillHole(sink, stored.bytes, TOKEN * rowBytes, patternBytes("BF16", rowBytes))
  if (tensor.kind === "OUTPUT")
    return fillHole(sink, stored.bytes, 0, patternBytes("BF16", rowBytes))
  if (tensor.role === "expert" && tensor.expert === 0)
    return fillHole(sink, stored.bytes, 0, new Uint8Array(rowBytes).fill(0x21))
  return sink.skip(stored.bytes)
}

/** Control tokens, bytes and made-up entries up to the model's vocabulary. */
function vocabulary(size: number): Map<string, GgufValue> {
  const tokens = [
    ...REQUIRED_SPECIALS,
    ...CODE_POINT_OF_BYTE.map((codePoint) => String.fromCodePoint(codePoint)),
  ]
  const types: number[] = tokens.map((_, id) => (id < REQUIRED_SPECIALS.length ? 3 : 1))
  for (let id = tokens.length; id < size; id++) {
    tokens.push(`[PAD${id}]`)
    types.push(5)
  }
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
    ["tokenizer.ggml.pre", { type: "string", value: "joyai-llm" }],
    ["tokenizer.ggml.tokens", { type: "array", element: "string", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "array", element: "i32", value: types }],
    ["tokenizer.ggml.merges", { type: "array", element: "string", value: [] }],
  ])
}

/** Bytes of everything that `fill` writes rather than skips. */
async function writtenBytes<T>(
  items: readonly T[],
  fill: (item: T, sink: ByteSink) => Promise<void>,
): Promise<number> {
  let written = 0
  const sink: ByteSink = {
    write(bytes) {
      written += bytes.length
      return Promise.resolve()
    },
    skip: () => Promise.resolve(),
  }
  for (const item of items) await fill(item, sink)
  return written
}

/** A Flash-shaped GGUF in the antirez dialect. Returns the size that it shows. */
export async function makeSparseGguf(
  path: string,
  config: ModelConfig = FLASH_CONFIG,
): Promise<number> {
  const tensors = [...expectedTensors(config, "gguf")]
  const metadata = new Map([
    ...metadataFromConfig(config, { dialect: "antirez", fileType: 19 }),
    ...vocabulary(config.vocab),
  ])
  const plan = tensors.map((tensor) => ({
    name: tensor.name,
    type: TENSOR_TYPES[twoBitType(tensor)],
    shape:
      tensor.role === "vector"
        ? [tensor.cols]
        : tensor.depth > 1
          ? [tensor.depth, tensor.rows, tensor.cols]
          : [tensor.rows, tensor.cols],
  }))
  const fill = (tensor: ExpectedTensor, sink: ByteSink): Promise<void> =>
    fillGguf(tensor, sink, config)
  const dataBytes = tensors.reduce(
    (sum, tensor) => sum + (storedBytes(tensor, twoBitType(tensor)) ?? 0),
    0,
  )
  const skippedBytes = dataBytes - (await writtenBytes(tensors, fill))
  await writeGguf(
    path,
    { metadata, tensors: plan },
    async (index, sink) => {
      const tensor = tensors[index]
      if (tensor !== undefined) await fill(tensor, sink)
    },
    { skippedBytes, overwrite: true },
  )
  return (await stat(path)).size
}

/**
 * A stored tensor and what it is for; undefined for those of the prediction block, which nobody
 * reads.
 */
interface Piece {
  readonly tensor: ExpectedTensor | undefined
  readonly stored: StoredSafetensor
}

function* allPieces(config: ModelConfig): Generator<Piece> {
  for (const tensor of expectedTensors(config, "safetensors")) {
    for (const stored of officialStorage(tensor)) yield { tensor, stored }
  }
  for (let block = 0; block < config.mtpBlocks; block++) {
    for (const stored of officialMtpInventory(config, block)) yield { tensor: undefined, stored }
  }
}

/** The official inventory cut into shards of about SHARD_BYTES. */
function shardPieces(config: ModelConfig): Piece[][] {
  const shards: Piece[][] = [[]]
  let bytes = 0
  for (const piece of allPieces(config)) {
    if (bytes + piece.stored.bytes > SHARD_BYTES && bytes > 0) {
      shards.push([])
      bytes = 0
    }
    shards.at(-1)?.push(piece)
    bytes += piece.stored.bytes
  }
  return shards
}

const isDtype = (dtype: string): dtype is SafetensorsDtype => Object.hasOwn(DTYPE_BYTES, dtype)

/** A Flash-shaped checkpoint folder. Returns the size that its shards show. */
export async function makeSparseSafetensors(
  folder: string,
  config: ModelConfig = FLASH_CONFIG,
): Promise<number> {
  await mkdir(folder, { recursive: true })
  const shards = shardPieces(config)
  const weightMap: Record<string, string> = {}
  let total = 0
  for (const [index, pieces] of shards.entries()) {
    const numbered = (value: number): string => String(value).padStart(5, "0")
    const name = `model-${numbered(index + 1)}-of-${numbered(shards.length)}.safetensors`
    for (const { stored } of pieces) weightMap[stored.name] = name
    const fill = ({ tensor, stored }: Piece, sink: ByteSink): Promise<void> =>
      tensor === undefined ? sink.skip(stored.bytes) : fillOfficial(tensor, stored, sink, config)
    const plan = pieces.map(({ stored }) => {
      if (!isDtype(stored.dtype))
        throw new Error(`the inventory has the unknown dtype ${stored.dtype}`)
      return { name: stored.name, dtype: stored.dtype, shape: stored.shape }
    })
    const shardBytes = pieces.reduce((sum, { stored }) => sum + stored.bytes, 0)
    await writeSafetensors(
      join(folder, name),
      plan,
      async (piece, sink) => {
        const item = pieces[piece]
        if (item !== undefined) await fill(item, sink)
      },
      { skippedBytes: shardBytes - (await writtenBytes(pieces, fill)), overwrite: true },
    )
    total += shardBytes
  }
  await Bun.write(
    join(folder, "model.safetensors.index.json"),
    JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap }),
  )
  await Bun.write(join(folder, "config.json"), JSON.stringify(officialConfigJson(config), null, 2))
  return total
}

/** Flash cut after `layers` layers. */
export function firstLayers(layers: number): ModelConfig {
  const { compressRatios, swigluLimit, sharedSwigluLimit, hashLayers } = FLASH_CONFIG
  if (!Number.isInteger(layers) || layers < 1 || layers > FLASH_CONFIG.layers)
    throw new Error(`LAYERS is ${layers}; expected 1..${FLASH_CONFIG.layers}`)
  return {
    ...FLASH_CONFIG,
    layers,
    mtpBlocks: 0,
    hashLayers: Math.min(hashLayers, layers),
    compressRatios: compressRatios.slice(0, layers),
    swigluLimit: swigluLimit.slice(0, layers),
    sharedSwigluLimit: sharedSwigluLimit.slice(0, layers),
  }
}

const USAGE =
  "bun scripts/make-sparse-flash.ts gguf TARGET.gguf | safetensors FOLDER, and perhaps LAYERS"

if (import.meta.main) {
  const [kind, target, layers] = process.argv.slice(2)
  if (target === undefined || (kind !== "gguf" && kind !== "safetensors")) {
    console.error(USAGE)
    process.exit(2)
  }
  const config = layers === undefined ? FLASH_CONFIG : firstLayers(Number(layers))
  const bytes =
    kind === "gguf"
      ? await makeSparseGguf(target, config)
      : await makeSparseSafetensors(target, config)
  console.log(`${target}: ${bytes} bytes to read`)
}
