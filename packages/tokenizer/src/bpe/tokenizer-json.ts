// tokenizer.json (with config.json / generation_config.json beside it) -> VocabularyParts.
import { dirname, join } from "node:path"
import { foreignFile, parsePythonJson } from "@ds4/model-file"
import { BOS, EOS } from "../special-tokens.ts"
import { TokenizerError } from "../tokenizer-error.ts"
import { SPLIT_PATTERNS } from "./pretokenizer.ts"
import { MAX_VOCAB, type VocabularyParts } from "./vocabulary.ts"

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const describe = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 80)

const formatError = (
  path: string,
  field: string,
  expected: string,
  value: unknown,
): TokenizerError =>
  new TokenizerError("FORMAT", `${path}: ${field} is ${describe(value)}; expected ${expected}`)

const objectAt = (path: string, field: string, value: unknown): Json => {
  if (isObject(value)) return value
  throw formatError(path, field, "an object", value)
}

const arrayAt = (path: string, field: string, value: unknown): readonly unknown[] => {
  if (Array.isArray(value)) return value
  throw formatError(path, field, "an array", value)
}

const unsupported = (path: string, what: string): TokenizerError =>
  new TokenizerError(
    "UNSUPPORTED",
    `${path}: ${what}; expected byte-level BPE whose pre_tokenizer is the three isolating ` +
      `splits of the DeepSeek V3 and V4 vocabularies`,
  )

/** Files write CR and LF inside a class either as themselves or as escapes. */
const normalisePattern = (source: string): string =>
  source.replaceAll("\r", "\\r").replaceAll("\n", "\\n")

const checkPretokenizer = (path: string, value: unknown): void => {
  const steps = isObject(value) && value.type === "Sequence" ? value.pretokenizers : undefined
  if (!Array.isArray(steps)) throw unsupported(path, `pre_tokenizer is ${describe(value)}`)
  if (steps.length !== SPLIT_PATTERNS.length + 1)
    throw unsupported(path, `pre_tokenizer has ${steps.length} steps`)
  SPLIT_PATTERNS.forEach((pattern, index) => {
    const step: unknown = steps[index]
    const isIsolated =
      isObject(step) &&
      step.type === "Split" &&
      step.behavior === "Isolated" &&
      step.invert !== true
    const source = isIsolated && isObject(step.pattern) ? step.pattern.Regex : undefined
    if (typeof source !== "string" || normalisePattern(source) !== pattern) {
      throw unsupported(path, `pre_tokenizer step ${index} is ${describe(step)}`)
    }
  })
  const last: unknown = steps[SPLIT_PATTERNS.length]
  const isByteLevel =
    isObject(last) &&
    last.type === "ByteLevel" &&
    last.use_regex === false &&
    last.add_prefix_space !== true
  if (!isByteLevel)
    throw unsupported(path, `pre_tokenizer step ${SPLIT_PATTERNS.length} is ${describe(last)}`)
}

const checkNormalizer = (path: string, value: unknown): void => {
  const isEmpty =
    isObject(value) &&
    value.type === "Sequence" &&
    Array.isArray(value.normalizers) &&
    value.normalizers.length === 0
  if (value !== undefined && value !== null && !isEmpty)
    throw unsupported(path, `normalizer is ${describe(value)}`)
}

const checkModel = (path: string, model: Json): void => {
  if (model.type !== undefined && model.type !== "BPE")
    throw unsupported(path, `model.type is ${describe(model.type)}`)
  for (const option of ["byte_fallback", "ignore_merges"]) {
    if (model[option] === true) throw unsupported(path, `model.${option} is true`)
  }
  for (const option of ["dropout", "continuing_subword_prefix", "end_of_word_suffix"]) {
    const value = model[option]
    if (value !== undefined && value !== null && value !== "" && value !== 0)
      throw unsupported(path, `model.${option} is ${describe(value)}`)
  }
}

const checkId = (path: string, field: string, id: unknown): number => {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MAX_VOCAB) return id
  throw formatError(path, field, `an integer in 0..${MAX_VOCAB - 1}`, id)
}

const readTokens = (path: string, model: Json, added: readonly Json[]): (string | undefined)[] => {
  const tokens: (string | undefined)[] = []
  const place = (text: string, rawId: unknown, field: string): void => {
    const id = checkId(path, field, rawId)
    const present = tokens[id]
    if (present !== undefined && present !== text) {
      throw new TokenizerError(
        "FORMAT",
        `${path}: id ${id} is both ${describe(present)} and ${describe(text)}`,
      )
    }
    tokens[id] = text
  }
  const vocabulary = objectAt(path, "model.vocab", model.vocab)
  for (const text of Object.keys(vocabulary))
    place(text, vocabulary[text], `model.vocab[${describe(text)}]`)
  added.forEach((token, index) => {
    const { content, id } = token
    if (typeof content !== "string" || content === "")
      throw formatError(path, `added_tokens[${index}].content`, "a non-empty string", content)
    place(content, id, `added_tokens[${index}].id`)
  })
  return Array.from(tokens)
}

const readMerge = (path: string, merge: unknown, rank: number): readonly [string, string] => {
  if (Array.isArray(merge) && merge.length === 2) {
    const [left, right] = merge as unknown[]
    if (typeof left === "string" && typeof right === "string") return [left, right]
  } else if (typeof merge === "string") {
    const space = merge.indexOf(" ")
    if (space > 0 && space < merge.length - 1)
      return [merge.slice(0, space), merge.slice(space + 1)]
  }
  throw formatError(
    path,
    `model.merges[${rank}]`,
    'two tokens, as "left right" or ["left", "right"]',
    merge,
  )
}

const UTF8 = new TextDecoder("utf-8", { fatal: true }) // a BOM is left out
const LENIENT_UTF8 = new TextDecoder("utf-8")

const bytesOf = async (path: string): Promise<Uint8Array> => {
  try {
    return await Bun.file(path).bytes()
  } catch (cause) {
    throw new TokenizerError("IO", `${path}: cannot be read; expected a tokenizer.json`, { cause })
  }
}

const readJson = async (path: string, decoder: TextDecoder): Promise<unknown> => {
  const bytes = await bytesOf(path)
  try {
    return parsePythonJson(decoder.decode(bytes))
  } catch (cause) {
    const reason = foreignFile(bytes) ?? `not JSON (${String(cause)})`
    throw new TokenizerError("FORMAT", `${path}: ${reason}`, { cause })
  }
}

/**
 * A configuration beside the vocabulary. A damaged one counts as none: the reader of the weights
 * has refused a bad config.json, and the vocabulary knows its BOS and EOS.
 */
const configAt = async (path: string): Promise<Json | undefined> => {
  if (!(await Bun.file(path).exists())) return undefined
  const value = await readJson(path, LENIENT_UTF8).catch(() => undefined)
  return isObject(value) ? value : undefined
}

interface Neighbours {
  readonly bos: number | undefined
  readonly eos: number | undefined
  readonly vocab: number
}

/**
 * BOS, EOS and the row count, as far as the model's own configuration beside the file states them.
 */
const readNeighbours = async (path: string): Promise<Neighbours> => {
  let found: Neighbours = { bos: undefined, eos: undefined, vocab: 0 }
  for (const name of ["generation_config.json", "config.json"]) {
    const neighbour = join(dirname(path), name)
    const config = await configAt(neighbour)
    if (config === undefined) continue
    const id = (field: string): number | undefined => {
      const raw = config[field]
      const value: unknown = Array.isArray(raw) ? raw[0] : raw
      return value === undefined || value === null ? undefined : checkId(neighbour, field, value)
    }
    found = {
      bos: found.bos ?? id("bos_token_id"),
      eos: found.eos ?? id("eos_token_id"),
      vocab: found.vocab || (id("vocab_size") ?? 0),
    }
  }
  return found
}

/**
 * Reads a tokenizer.json.
 * @throws TokenizerError IO, FORMAT or UNSUPPORTED, naming the file and the field
 */
export const readTokenizerJson = async (path: string): Promise<VocabularyParts> => {
  const document = objectAt(path, "the document", await readJson(path, UTF8))
  checkNormalizer(path, document.normalizer)
  checkPretokenizer(path, document.pre_tokenizer)
  const model = objectAt(path, "model", document.model)
  checkModel(path, model)
  const added = arrayAt(path, "added_tokens", document.added_tokens ?? []).map((token, index) =>
    objectAt(path, `added_tokens[${index}]`, token),
  )
  const tokens = readTokens(path, model, added)
  const special = new Map(
    added.map((token) => [token.content as string, token.id as number] as const),
  ) // checked by readTokens
  const merges = arrayAt(path, "model.merges", model.merges).map((merge, rank) =>
    readMerge(path, merge, rank),
  )
  const neighbours = await readNeighbours(path)
  const idOf = (text: string): number => special.get(text) ?? tokens.indexOf(text)
  const bos = neighbours.bos ?? idOf(BOS)
  const eos = neighbours.eos ?? idOf(EOS)
  while (tokens.length < neighbours.vocab) tokens.push(undefined)
  return { tokens, special, merges, bos, eos, origin: path }
}
