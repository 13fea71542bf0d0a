import { BpeEncoder } from "./bpe/encoder.ts"
import { SpecialSplitter } from "./bpe/special-splitter.ts"
import { StreamDecoder, decodeUtf8 } from "./bpe/stream-decoder.ts"
import { StretchCache } from "./bpe/stretch-cache.ts"
import { readTokenizerGguf } from "./bpe/tokenizer-gguf.ts"
import { readTokenizerJson } from "./bpe/tokenizer-json.ts"
import { type Vocabulary, buildVocabulary, tokenByteTable } from "./bpe/vocabulary.ts"
import type { ModelFile, TokenizerSource } from "@ds4/model-file"
import { REQUIRED_SPECIALS } from "./special-tokens.ts"
import { TokenizerError } from "./tokenizer-error.ts"

/**
 * A stretch of rendered text. Control strings are recognised only where `control` is true: text
 * that came from a client, a tool or a file never is. `ids`, when present, are the exact tokens of
 * `text` as sampled.
 */
export interface Segment {
  readonly text: string
  readonly control: boolean
  readonly ids?: readonly number[]
}

export interface Tokenizer {
  /** Number of ids, gaps included. */
  readonly vocab: number
  readonly bos: number
  readonly eos: number
  /** Control and user-defined tokens: text to id. */
  readonly special: ReadonlyMap<string, number>
  readonly vocabulary: Vocabulary
  /** Ids of plain text: a control string in it is ordinary characters. */
  encode(text: string): number[]
  /** Ids of rendered text; text that no control string separates is encoded as one. */
  encodeSegments(segments: readonly Segment[]): number[]
  /** @throws TokenizerError UNKNOWN_ID */
  decode(ids: Iterable<number>): string
  /** The bytes one id stands for, empty for a gap. @throws TokenizerError UNKNOWN_ID */
  tokenBytes(id: number): Uint8Array
  /** A decoder that never emits half a character. */
  streamDecoder(): StreamDecoder
}

export interface TokenizerOptions {
  /** Refuse a vocabulary without the seven control tokens of chat (default true). */
  readonly requireChat?: boolean
  /**
   * Recognise control strings in every segment, as older servers do: text can then forge turns
   * (default false).
   */
  readonly legacySpecials?: boolean
}

class BpeTokenizer implements Tokenizer {
  readonly vocab: number
  readonly bos: number
  readonly eos: number
  readonly special: ReadonlyMap<string, number>
  private readonly bytes: readonly Uint8Array[]
  private readonly encoder: BpeEncoder
  private readonly splitter: SpecialSplitter
  private readonly stretches = new StretchCache()

  constructor(
    readonly vocabulary: Vocabulary,
    private readonly legacySpecials: boolean,
  ) {
    this.vocab = vocabulary.tokens.length
    this.bos = vocabulary.bos
    this.eos = vocabulary.eos
    this.special = vocabulary.special
    this.bytes = tokenByteTable(vocabulary)
    this.encoder = new BpeEncoder(vocabulary)
    this.splitter = new SpecialSplitter(vocabulary.special)
  }

  encode(text: string): number[] {
    const ids: number[] = []
    this.encoder.append(text, ids)
    return ids
  }

  encodeSegments(segments: readonly Segment[]): number[] {
    const ids: number[] = []
    let plain = ""
    const flush = (): void => {
      if (plain !== "")
        this.stretches.append(plain, ids, (text, out) => this.encoder.append(text, out))
      plain = ""
    }
    for (const segment of segments) {
      if (segment.ids !== undefined) {
        flush()
        for (const id of segment.ids) ids.push(id)
      } else if (segment.control || this.legacySpecials) {
        this.splitter.split(
          segment.text,
          (stretch) => (plain += stretch),
          (id) => {
            flush()
            ids.push(id)
          },
        )
      } else {
        plain += segment.text
      }
    }
    flush()
    return ids
  }

  decode(ids: Iterable<number>): string {
    const parts = Array.from(ids, (id) => this.tokenBytes(id))
    return decodeUtf8(Buffer.concat(parts))
  }

  tokenBytes(id: number): Uint8Array {
    const bytes = this.bytes[id]
    if (bytes !== undefined) return bytes
    throw new TokenizerError(
      "UNKNOWN_ID",
      `token id ${id}; this vocabulary has ids 0..${this.vocab - 1}`,
    )
  }

  streamDecoder(): StreamDecoder {
    return new StreamDecoder((id) => this.tokenBytes(id))
  }
}

/**
 * Checks that the control tokens every conversation needs exist.
 * @throws TokenizerError MISSING_SPECIAL naming all that are absent
 */
const requireChatTokens = ({ special }: Pick<Tokenizer, "special">, origin: string): void => {
  const missing = REQUIRED_SPECIALS.filter((text) => !special.has(text))
  if (missing.length === 0) return
  throw new TokenizerError(
    "MISSING_SPECIAL",
    `${origin}: the vocabulary lacks ${missing.length} of the ${REQUIRED_SPECIALS.length} ` +
      `control tokens that chat needs: ${missing.join(" ")}; this is not a DeepSeek V4 vocabulary`,
  )
}

/**
 * A tokenizer over a checked vocabulary. @throws TokenizerError MISSING_SPECIAL, see
 * TokenizerOptions.requireChat
 */
export const createTokenizer = (
  vocabulary: Vocabulary,
  options: TokenizerOptions = {},
  origin = "vocabulary",
): Tokenizer => {
  if (options.requireChat !== false) requireChatTokens(vocabulary, origin)
  return new BpeTokenizer(vocabulary, options.legacySpecials === true)
}

/**
 * Loads the tokenizer of a model file or a tokenizer.json; equal vocabularies give equal
 * tokenizers.
 * @throws TokenizerError
 */
export const loadTokenizer = async (
  source: TokenizerSource,
  options: TokenizerOptions = {},
): Promise<Tokenizer> => {
  const parts =
    source.kind === "gguf"
      ? readTokenizerGguf(source.metadata, source.path)
      : await readTokenizerJson(source.path)
  return createTokenizer(buildVocabulary(parts), options, parts.origin)
}

/**
 * The tokenizer of an opened model; undefined where it carries no vocabulary.
 * @throws TokenizerError, FORMAT also for a vocabulary of more ids than the model has rows
 */
export const modelTokenizer = async (
  { tokenizer: source, config, path }: Pick<ModelFile, "tokenizer" | "config" | "path">,
  options: TokenizerOptions = {},
): Promise<Tokenizer | undefined> => {
  if (source === undefined) return undefined
  const tokenizer = await loadTokenizer(source, options)
  if (tokenizer.vocab <= config.vocab) return tokenizer
  throw new TokenizerError(
    "FORMAT",
    `${path}: the vocabulary has ${tokenizer.vocab} ids, the model rows for ${config.vocab}: ` +
      `they do not belong together`,
  )
}
