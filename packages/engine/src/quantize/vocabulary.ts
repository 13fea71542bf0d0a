// tokenizer.ggml.* records of a quantised file, from whatever vocabulary the source has.
import { ModelFileError, type GgufValue, type ModelFile } from "@ds4/model-file"
import { loadTokenizer, tokenizerGgufMetadata } from "@ds4/tokenizer"

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
 * @throws ModelFileError VALUE when the vocabulary has more ids than the model has rows;
 * TokenizerError when it cannot be read.
 */
export async function vocabularyMetadata(file: ModelFile): Promise<ReadonlyMap<string, GgufValue>> {
  if (file.tokenizer === undefined) return NO_VOCABULARY
  const { vocabulary } = await loadTokenizer(file.tokenizer, { requireChat: false })
  const rows = file.config.vocab
  if (vocabulary.tokens.length > rows) {
    throw new ModelFileError(
      "VALUE",
      `the vocabulary has ${vocabulary.tokens.length} ids; the model has rows for ${rows}`,
      { path: file.path },
    )
  }
  const padding = Array.from({ length: rows - vocabulary.tokens.length }, () => undefined)
  const padded = { ...vocabulary, tokens: [...vocabulary.tokens, ...padding] }
  return new Map([...tokenizerGgufMetadata(padded)].map(([key, value]) => [key, record(value)]))
}
