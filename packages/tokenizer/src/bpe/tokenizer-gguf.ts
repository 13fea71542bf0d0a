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

const ORIGIN = "GGUF metadata"

const mistyped = (key: string, expected: string, value: unknown): TokenizerError => {
  const came =
    value === undefined
      ? "missing"
      : (
          JSON.stringify(value, (_, part: unknown) =>
            typeof part === "bigint" ? String(part) : part,
          ) ?? typeof value
        ).slice(0, 80)
  return new TokenizerError("FORMAT", `${ORIGIN}: ${key} is ${came}; expected ${expected}`)
}

const stringAt = (metadata: ReadonlyMap<string, unknown>, key: string): string => {
  const value = metadata.get(key)
  if (typeof value === "string") return value
  throw mistyped(key, "a string", value)
}

/** Array values may be plain arrays or any typed array. */
const itemsAt = (metadata: ReadonlyMap<string, unknown>, key: string): readonly unknown[] => {
  const value = metadata.get(key)
  if (Array.isArray(value)) return value
  if (ArrayBuffer.isView(value) && Symbol.iterator in value)
    return Array.from(value as Iterable<unknown>)
  throw mistyped(key, "an array", value)
}

const stringsAt = (metadata: ReadonlyMap<string, unknown>, key: string): readonly string[] =>
  itemsAt(metadata, key).map((item, index) => {
    if (typeof item === "string") return item
    throw mistyped(`${key}[${index}]`, "a string", item)
  })

const integer = (key: string, value: unknown): number => {
  const number = typeof value === "bigint" ? Number(value) : value
  if (typeof number === "number" && Number.isSafeInteger(number)) return number
  throw mistyped(key, "an integer", value)
}

const readMerge = (merge: string, rank: number): readonly [string, string] => {
  const space = merge.indexOf(" ")
  if (space > 0 && space < merge.length - 1) return [merge.slice(0, space), merge.slice(space + 1)]
  throw mistyped(`tokenizer.ggml.merges[${rank}]`, '"left right"', merge)
}

const checkKind = (metadata: ReadonlyMap<string, unknown>): void => {
  const model = stringAt(metadata, "tokenizer.ggml.model")
  if (model !== "gpt2") {
    throw new TokenizerError(
      "UNSUPPORTED",
      `${ORIGIN}: tokenizer.ggml.model is "${model}"; expected "gpt2" (byte-level BPE)`,
    )
  }
  const pre = stringAt(metadata, "tokenizer.ggml.pre")
  if (!KNOWN_PRETOKENIZERS.includes(pre)) {
    throw new TokenizerError(
      "UNSUPPORTED",
      `${ORIGIN}: tokenizer.ggml.pre is "${pre}"; expected one of ` +
        `${KNOWN_PRETOKENIZERS.join(", ")}`,
    )
  }
}

/**
 * Reads the vocabulary out of GGUF metadata.
 * @throws TokenizerError FORMAT or UNSUPPORTED, naming the key
 */
export const readTokenizerGguf = (metadata: ReadonlyMap<string, unknown>): VocabularyParts => {
  checkKind(metadata)
  const texts = stringsAt(metadata, "tokenizer.ggml.tokens")
  const types = metadata.has("tokenizer.ggml.token_type")
    ? itemsAt(metadata, "tokenizer.ggml.token_type").map((type) =>
        integer("tokenizer.ggml.token_type", type),
      )
    : texts.map(() => NORMAL)
  if (types.length !== texts.length) {
    throw new TokenizerError(
      "FORMAT",
      `${ORIGIN}: tokenizer.ggml.token_type has ${types.length} entries; expected ` +
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
    merges: stringsAt(metadata, "tokenizer.ggml.merges").map(readMerge),
    bos: integer("tokenizer.ggml.bos_token_id", metadata.get("tokenizer.ggml.bos_token_id")),
    eos: integer("tokenizer.ggml.eos_token_id", metadata.get("tokenizer.ggml.eos_token_id")),
    origin: ORIGIN,
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
