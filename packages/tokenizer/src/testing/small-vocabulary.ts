// A complete small vocabulary as a tokenizer.json document: 256 bytes, a few merges, every control
// token.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CODE_POINT_OF_BYTE } from "../bpe/byte-map.ts"
import { SPLIT_PATTERNS } from "../bpe/pretokenizer.ts"
import { BOS, EOS, KNOWN_SPECIALS } from "../special-tokens.ts"

const SPACE = "\u0120"
const MERGES = [
  "h e",
  "l l",
  "he ll",
  "hell o",
  `${SPACE} w`,
  `${SPACE}w o`,
  "r l",
  "rl d",
  "a a",
  "aa aa",
  "\u00e6 \u0139",
  "t h",
]

const specials = [BOS, EOS, ...KNOWN_SPECIALS.filter((text) => text !== BOS && text !== EOS)]
const ordinary = [
  ...CODE_POINT_OF_BYTE.map((codePoint) => String.fromCodePoint(codePoint)),
  ...MERGES.map((merge) => merge.replace(" ", "")),
]

export interface TokenizerDocument {
  normalizer: unknown
  pre_tokenizer: { type: string; pretokenizers: Record<string, unknown>[] }
  model: { type: string; vocab: Record<string, number>; merges: unknown[] } & Record<
    string,
    unknown
  >
  added_tokens: { id: number; content: string; special: boolean }[]
}

/**
 * A fresh copy each time, for tests to spoil. BOS is 0, EOS 1, ordinary tokens follow, the other
 * specials end it.
 */
export const smallDocument = (): TokenizerDocument => ({
  normalizer: { type: "Sequence", normalizers: [] },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      ...SPLIT_PATTERNS.map((Regex) => ({
        type: "Split",
        pattern: { Regex },
        behavior: "Isolated",
        invert: false,
      })),
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  model: {
    type: "BPE",
    vocab: Object.fromEntries(ordinary.map((text, index) => [text, index + 2])),
    merges: [...MERGES],
  },
  added_tokens: specials.map((content, index) => ({
    id: index < 2 ? index : ordinary.length + index,
    content,
    special: index % 2 === 0,
  })),
})

/** Writes files into a folder of their own, which is removed after `use`. */
export const withFiles = async <T>(
  files: Readonly<Record<string, unknown>>,
  use: (folder: string) => Promise<T>,
): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), "ds4-tokenizer-"))
  try {
    for (const [name, content] of Object.entries(files)) {
      await Bun.write(
        join(folder, name),
        typeof content === "string" ? content : JSON.stringify(content),
      )
    }
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}
