// Files with expert types that our quantiser does not make: K-quants and IQ2_XXS. ggml's own
// encoder makes those tensors; it comes from the same npm package as the llama.cpp oracle.
import { dlopen } from "bun:ffi"
import { dirname, join } from "node:path"
import { nativeConvertRows, quantize, type Recipe } from "@ds4/engine"
import { openModelFile, TENSOR_TYPES } from "@ds4/model-file"
import { CHECKPOINTS, type CheckpointName } from "./checkpoints.ts"

const library = join(
  dirname(Bun.resolveSync("@node-llama-cpp/linux-x64/package.json", import.meta.dir)),
  "bins/linux-x64/libggml-base.so",
)
const { symbols: ggml } = dlopen(library, {
  // size_t ggml_quantize_chunk(type, const float *, void *, int64 start, int64 rows, int64 cols,
  // const float *importance)
  ggml_quantize_chunk: { args: ["i32", "ptr", "ptr", "i64", "i64", "i64", "ptr"], returns: "u64" },
  // void dequantize_row_X(const block *, float *, int64 count)
  dequantize_row_q2_K: { args: ["ptr", "ptr", "i64"], returns: "void" },
  dequantize_row_q4_K: { args: ["ptr", "ptr", "i64"], returns: "void" },
  dequantize_row_iq2_xxs: { args: ["ptr", "ptr", "i64"], returns: "void" },
  dequantize_row_mxfp4: { args: ["ptr", "ptr", "i64"], returns: "void" },
  dequantize_row_q8_0: { args: ["ptr", "ptr", "i64"], returns: "void" },
})

export type GgmlExpertType = "Q2_K" | "Q4_K" | "IQ2_XXS"

/**
 * Writes the checkpoint as a GGUF whose routed experts have the given type, everything else
 * lossless.
 */
export async function writeWithGgmlExperts(
  name: CheckpointName,
  type: GgmlExpertType,
  target: string,
): Promise<void> {
  const file = await openModelFile(CHECKPOINTS[name])
  const wanted = TENSOR_TYPES[type]
  await quantize(
    file,
    target,
    (conversion) => {
      if (conversion.toType !== wanted.id) return nativeConvertRows(conversion)
      const { rows, cols } = conversion
      const values = new Float32Array(rows * cols)
      nativeConvertRows({
        ...conversion,
        toType: TENSOR_TYPES.F32.id,
        to: new Uint8Array(values.buffer),
      })
      const importance = new Float32Array(cols).fill(1) // IQ2_XXS insists on one
      const written = ggml.ggml_quantize_chunk(
        wanted.id,
        values,
        conversion.to,
        0n,
        BigInt(rows),
        BigInt(cols),
        importance,
      )
      if (Number(written) !== conversion.to.length)
        throw new Error(`ggml wrote ${written} bytes of ${type}; expected ${conversion.to.length}`)
    },
    {
      recipe: "lossless",
      // beyond the quantiser's own types: the encoder above makes it
      types: { experts: type as Recipe["experts"] },
    },
  )
}

const DECODERS = new Map([
  [TENSOR_TYPES.Q2_K.id, ggml.dequantize_row_q2_K],
  [TENSOR_TYPES.Q4_K.id, ggml.dequantize_row_q4_K],
  [TENSOR_TYPES.IQ2_XXS.id, ggml.dequantize_row_iq2_xxs],
  [TENSOR_TYPES.MXFP4.id, ggml.dequantize_row_mxfp4],
  [TENSOR_TYPES.Q8_0.id, ggml.dequantize_row_q8_0],
])

/**
 * The same weights in F32, decoded by ggml: what llama.cpp then computes has no rounding of
 * activations.
 */
export async function writeDecoded(source: string, target: string): Promise<void> {
  const file = await openModelFile(source)
  await quantize(
    file,
    target,
    (conversion) => {
      const decode = DECODERS.get(conversion.fromType)
      if (decode === undefined) return nativeConvertRows(conversion)
      decode(conversion.from, conversion.to, BigInt(conversion.rows * conversion.cols))
    },
    { recipe: "f32" },
  )
}
