// tokenizer.ggml.* records of a quantised file, from whatever vocabulary the source has.
import type { GgufValue, ModelFile } from "@ds4/model-file"
import { modelTokenizer, tokenizerGgufMetadata } from "@ds4/tokenizer"

const record = (value: string | number | readonly string[] | Int32Array): GgufValue => {
  if (typeof value === "string") return { type: "string", value }
  if (typeof value === "number") return { type: "u32", value }
  return value instanceof Int32Array
    ? { type: "array", element: "i32", value: [...value] }
    : { type: "array", element: "string", value }
}

/**
 * Without a vocabulary the file says so in llama.cpp's word, and its readers take the size from
 * vocab_size.
 */
const NO_VOCABULARY: ReadonlyMap<string, GgufValue> = new Map([
  ["tokenizer.ggml.model", { type: "string", value: "no_vocab" }],
])

/**
 * @throws TokenizerError when the vocabulary cannot be read or has more ids than the model has rows
 */
export async function vocabularyMetadata(file: ModelFile): Promise<ReadonlyMap<string, GgufValue>> {
  const tokenizer = await modelTokenizer(file, { requireChat: false })
  if (tokenizer === undefined) return NO_VOCABULARY
  const { vocabulary } = tokenizer
  const missing = file.config.vocab - vocabulary.tokens.length
  const padding = Array.from({ length: missing }, () => undefined)
  const padded = { ...vocabulary, tokens: [...vocabulary.tokens, ...padding] }
  return new Map([...tokenizerGgufMetadata(padded)].map(([key, value]) => [key, record(value)]))
}
