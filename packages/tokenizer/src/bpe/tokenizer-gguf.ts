// tokenizer.ggml.* metadata <-> VocabularyParts.
import { TokenizerError } from "../tokenizer-error.ts"
import type { Vocabulary, VocabularyParts } from "./vocabulary.ts"

/** Values of tokenizer.ggml.token_type (gguf-py `TokenType`) that matter here. */
const NORMAL = 1
const CONTROL = 3
const USER_DEFINED = 4
const UNUSED = 5

/** Names of tokenizer.ggml.pre that mean the three patterns of this family. */
const KNOWN_PRETOKENIZERS: readonly string[] = ["joyai-llm", "deepseek-v3"]

/** The metadata, with the file's path for messages. */
class Metadata {
  constructor(
    private readonly values: ReadonlyMap<string, unknown>,
    readonly path: string,
  ) {}

  has(key: string): boolean {
    return this.values.has(key)
  }
  get(key: string): unknown {
    return this.values.get(key)
  }
  mistyped(key: string, expected: string, value: unknown): TokenizerError {
    return mistyped(this.path, key, expected, value)
  }
}

const mistyped = (path: string, key: string, expected: string, value: unknown): TokenizerError => {
  const came =
    value === undefined
      ? "missing"
      : (
          JSON.stringify(value, (_, part: unknown) =>
            typeof part === "bigint" ? String(part) : part,
          ) ?? typeof value
        ).slice(0, 80)
  return new TokenizerError("FORMAT", `${path}: ${key} is ${came}; expected ${expected}`)
}

const stringAt = (metadata: Metadata, key: string): string => {
  const value = metadata.get(key)
  if (typeof value === "string") return value
  throw metadata.mistyped(key, "a string", value)
}

/** Array values may be plain arrays or any typed array. */
const itemsAt = (metadata: Metadata, key: string): readonly unknown[] => {
  const value = metadata.get(key)
  if (Array.isArray(value)) return value
  if (ArrayBuffer.isView(value) && Symbol.iterator in value)
    return Array.from(value as Iterable<unknown>)
  throw metadata.mistyped(key, "an array", value)
}

const stringsAt = (metadata: Metadata, key: string): readonly string[] =>
  itemsAt(metadata, key).map((item, index) => {
    if (typeof item === "string") return item
    throw metadata.mistyped(`${key}[${index}]`, "a string", item)
  })

const integer = (metadata: Metadata, key: string, value: unknown): number => {
  const number = typeof value === "bigint" ? Number(value) : value
  if (typeof number === "number" && Number.isSafeInteger(number)) return number
  throw metadata.mistyped(key, "an integer", value)
}

/** An id, or the first of a list of them. */
const tokenId = (metadata: Metadata, key: string): number => {
  const value = metadata.get(key)
  return integer(metadata, key, Array.isArray(value) ? (value as unknown[])[0] : value)
}

const readMerge = (metadata: Metadata, merge: string, rank: number): readonly [string, string] => {
  const space = merge.indexOf(" ")
  if (space > 0 && space < merge.length - 1) return [merge.slice(0, space), merge.slice(space + 1)]
  throw metadata.mistyped(`tokenizer.ggml.merges[${rank}]`, '"left right"', merge)
}

const checkKind = (metadata: Metadata): void => {
  const model = stringAt(metadata, "tokenizer.ggml.model")
  if (model !== "gpt2") {
    throw new TokenizerError(
      "UNSUPPORTED",
      `${metadata.path}: tokenizer.ggml.model is "${model}"; expected "gpt2" (byte-level BPE)`,
    )
  }
  const pre = stringAt(metadata, "tokenizer.ggml.pre")
  if (!KNOWN_PRETOKENIZERS.includes(pre)) {
    throw new TokenizerError(
      "UNSUPPORTED",
      `${metadata.path}: tokenizer.ggml.pre is "${pre}"; expected one of ` +
        `${KNOWN_PRETOKENIZERS.join(", ")}`,
    )
  }
}

/**
 * Reads the vocabulary out of GGUF metadata.
 * @throws TokenizerError FORMAT or UNSUPPORTED, naming the key
 */
export const readTokenizerGguf = (
  values: ReadonlyMap<string, unknown>,
  path: string,
): VocabularyParts => {
  const metadata = new Metadata(values, path)
  checkKind(metadata)
  const texts = stringsAt(metadata, "tokenizer.ggml.tokens")
  const types = metadata.has("tokenizer.ggml.token_type")
    ? itemsAt(metadata, "tokenizer.ggml.token_type").map((type) =>
        integer(metadata, "tokenizer.ggml.token_type", type),
      )
    : texts.map(() => NORMAL)
  if (types.length !== texts.length) {
    throw new TokenizerError(
      "FORMAT",
      `${metadata.path}: tokenizer.ggml.token_type has ${types.length} entries; expected ` +
        `${texts.length}, as many as there are tokens`,
    )
  }
  const special = new Map<string, number>()
  const tokens = texts.map((text, id) => {
    if (types[id] === UNUSED) return undefined
    if (types[id] === CONTROL || types[id] === USER_DEFINED) special.set(text, id)
    return text
  })
  return {
    tokens,
    special,
    merges: stringsAt(metadata, "tokenizer.ggml.merges").map((merge, rank) =>
      readMerge(metadata, merge, rank),
    ),
    bos: tokenId(metadata, "tokenizer.ggml.bos_token_id"),
    eos: tokenId(metadata, "tokenizer.ggml.eos_token_id"),
    origin: path,
  }
}

/**
 * The metadata entries that make readTokenizerGguf return this vocabulary again: what a GGUF writer
 * stores. Ids without a token become unused padding.
 */
export const tokenizerGgufMetadata = (
  vocabulary: Vocabulary,
): Map<string, string | number | string[] | Int32Array> => {
  const { tokens, special, merges } = vocabulary
  const text = (id: number): string => tokens[id] ?? `[PAD${id}]`
  const typeOf = (token: string | undefined): number => {
    if (token === undefined) return UNUSED
    return special.has(token) ? CONTROL : NORMAL
  }
  return new Map<string, string | number | string[] | Int32Array>([
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", "joyai-llm"],
    ["tokenizer.ggml.tokens", tokens.map((_, id) => text(id))],
    ["tokenizer.ggml.token_type", Int32Array.from(tokens, typeOf)],
    [
      "tokenizer.ggml.merges",
      Array.from(
        { length: merges.length / 3 },
        (_, rank) => `${text(merges[rank * 3] as number)} ${text(merges[rank * 3 + 1] as number)}`,
      ),
    ],
    ["tokenizer.ggml.bos_token_id", vocabulary.bos],
    ["tokenizer.ggml.eos_token_id", vocabulary.eos],
  ])
}
