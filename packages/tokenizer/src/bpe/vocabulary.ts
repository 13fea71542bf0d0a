// A checked vocabulary, from either kind of file: token table, merges as ids, and control tokens.
import { TokenizerError } from "../tokenizer-error.ts"
import { KNOWN_SPECIALS } from "../special-tokens.ts"
import { CODE_POINT_OF_BYTE, bytesOfMapped } from "./byte-map.ts"

/** Eight times the largest published vocabulary of the family (129280). */
export const MAX_VOCAB = 1 << 20

export interface Vocabulary {
  /**
   * [vocab] strings by id: byte-mapped for ordinary tokens, literal for control tokens, undefined
   * for gaps.
   */
  readonly tokens: readonly (string | undefined)[]
  readonly ids: ReadonlyMap<string, number>
  /** [merges * 3] left id, right id, id of the two joined; the index of a merge is its rank. */
  readonly merges: Int32Array
  /**
   * Control and user-defined tokens: text to id. Their text is literal and never produced by
   * merging.
   */
  readonly special: ReadonlyMap<string, number>
  readonly bos: number
  readonly eos: number
}

/** The parts a loader reads out of its file. */
export interface VocabularyParts {
  readonly tokens: readonly (string | undefined)[]
  readonly special: ReadonlyMap<string, number>
  readonly merges: readonly (readonly [left: string, right: string])[]
  readonly bos: number
  readonly eos: number
  /** Where the parts come from, for messages. */
  readonly origin: string
}

const quote = (text: string): string =>
  JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)

const idsByText = ({ tokens, origin }: VocabularyParts): Map<string, number> => {
  const ids = new Map<string, number>()
  tokens.forEach((text, id) => {
    if (text === undefined) return
    const earlier = ids.get(text)
    if (earlier !== undefined) {
      throw new TokenizerError(
        "FORMAT",
        `${origin}: ids ${earlier} and ${id} are both ${quote(text)}; expected distinct tokens`,
      )
    }
    ids.set(text, id)
  })
  return ids
}

const requireBytes = (ids: ReadonlyMap<string, number>, origin: string): void => {
  const missing = CODE_POINT_OF_BYTE.flatMap((codePoint, byte) =>
    ids.has(String.fromCodePoint(codePoint)) ? [] : [`0x${byte.toString(16).padStart(2, "0")}`],
  )
  if (missing.length === 0) return
  const some = missing.slice(0, 8).join(", ")
  throw new TokenizerError(
    "MISSING_BYTE",
    `${origin}: a byte-level vocabulary holds all 256 single bytes; ${missing.length} are ` +
      `missing (${some}${missing.length > 8 ? ", …" : ""})`,
  )
}

const mergeIds = (parts: VocabularyParts, ids: ReadonlyMap<string, number>): Int32Array => {
  const { merges, special, origin } = parts
  const specialIds = new Set(special.values())
  const out = new Int32Array(merges.length * 3)
  merges.forEach(([left, right], rank) => {
    const merge = [ids.get(left), ids.get(right), ids.get(left + right)] as const
    merge.forEach((id, part) => {
      if (id === undefined) {
        throw new TokenizerError(
          "FORMAT",
          `${origin}: merge ${rank} (${quote(left)} + ${quote(right)}) needs a token that the ` +
            `vocabulary lacks`,
        )
      }
      if (specialIds.has(id)) {
        throw new TokenizerError(
          "FORMAT",
          `${origin}: merge ${rank} (${quote(left)} + ${quote(right)}) involves control token ` +
            `${id}; plain text could forge it`,
        )
      }
      out[rank * 3 + part] = id
    })
  })
  return out
}

const requireId = (id: number, name: string, { tokens, origin }: VocabularyParts): number => {
  if (tokens[id] !== undefined) return id
  throw new TokenizerError(
    "FORMAT",
    `${origin}: the ${name} id is ${id}; expected the id of one of the ${tokens.length} tokens`,
  )
}

/**
 * Checks the parts against each other and indexes them.
 * @throws TokenizerError FORMAT for duplicate tokens, merges of unknown tokens or BOS/EOS ids
 * without a token; MISSING_BYTE when a single byte has no token
 */
export const buildVocabulary = (parts: VocabularyParts): Vocabulary => {
  const { tokens, origin } = parts
  if (tokens.length === 0 || tokens.length > MAX_VOCAB) {
    throw new TokenizerError(
      "FORMAT",
      `${origin}: ${tokens.length} tokens; expected 1..${MAX_VOCAB}`,
    )
  }
  const ids = idsByText(parts)
  const special = new Map(parts.special)
  for (const text of KNOWN_SPECIALS) {
    const id = ids.get(text)
    if (id !== undefined) special.set(text, id)
  }
  requireBytes(ids, origin)
  const ordered = new Map([...special].toSorted(([, a], [, b]) => a - b))
  return {
    tokens,
    ids,
    merges: mergeIds({ ...parts, special: ordered }, ids),
    special: ordered,
    bos: requireId(parts.bos, "BOS", parts),
    eos: requireId(parts.eos, "EOS", parts),
  }
}

const encoder = new TextEncoder()

/**
 * The bytes each token stands for, [vocab]; empty for gaps. Text that no byte sequence maps to is
 * literal.
 */
export const tokenByteTable = ({ tokens, special }: Vocabulary): Uint8Array[] => {
  const empty = new Uint8Array(0)
  return tokens.map((text) => {
    if (text === undefined) return empty
    return (special.has(text) ? undefined : bytesOfMapped(text)) ?? encoder.encode(text)
  })
}
