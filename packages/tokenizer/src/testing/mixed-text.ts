// Mixed text for agreement tests and benchmarks, the same bytes on every machine. It holds source
// code and prose of pinned dependencies, and generated CJK, emoji, numbers and odd white space.
import { readFileSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { Random } from "@ds4/model-file/testing"

const CJK = Array.from(
  "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去行过家十用发" +
    "天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只主没公从" +
    "こんにちは世界カタカナ。，、！？「」・ー゛",
)
const EMOJI = [
  "🙂",
  "👩\u200d💻",
  "🇩🇪",
  "👍🏽",
  "❤️",
  "🏳️\u200d🌈",
  "✨",
  "𝒜",
  "𐍈",
  "🀄",
  "①",
  "½",
  "Ⅷ",
  "٣",
]
const SPACES = [
  " ",
  "  ",
  "    ",
  "\t",
  "\n",
  "\n\n",
  "\r\n",
  "\r",
  "\u00a0",
  "\u3000",
  "\u2003",
  "\u2028",
  "\u0085",
  "\ufeff",
  "\u200b",
]
const WORDS = [
  "hello",
  "Straße",
  "naïve",
  "Ελλάδα",
  "привет",
  "مرحبا",
  "שלום",
  "नमस्ते",
  "ไทย",
  "Việt",
  "don't",
  "__init__",
  "->",
  "!=",
  "e\u0301",
  "#define",
  "3.14159",
  "0xff",
  "2024",
]

const rootOf = (specifier: string, from: string): string =>
  dirname(Bun.resolveSync(`${specifier}/package.json`, from))

const filesOf = (root: string, extensions: readonly string[]): string[] =>
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => extensions.some((extension) => name.endsWith(extension)))
    .toSorted()
    .map((name) => join(root, name))

const generated = (units: number): string => {
  const random = new Random(731)
  const kinds: readonly (() => string)[] = [
    () => random.text(CJK, 1 + random.below(40)),
    () => random.text(EMOJI, 1 + random.below(4)),
    () => random.text(SPACES, 1 + random.below(5)),
    () => random.pick(WORDS),
    () => String(random.below(1e9)),
    () => " ",
    () => ` ${random.pick(WORDS)}`,
  ]
  let text = ""
  while (text.length < units) text += random.pick(kinds)()
  return text
}

/** About `bytes` of text: one fifth generated, the rest files, repeated if there are too few. */
export const mixedText = (bytes: number): string => {
  const parts: string[] = []
  const files = [
    ...filesOf(rootOf("@huggingface/tokenizers", import.meta.dir), [".ts", ".md", ".mjs"]),
    ...filesOf(rootOf("bun-types", rootOf("@types/bun", import.meta.dir)), [".ts", ".md", ".mdx"]),
  ]
  let size = 0
  while (size < bytes * 0.8) {
    for (const file of files) {
      const text = readFileSync(file, "utf8").slice(0, 200_000)
      parts.push(text)
      size += Buffer.byteLength(text)
      if (size >= bytes * 0.8) break
    }
  }
  const odd = generated(bytes * 0.1) // two bytes a character on average
  return parts.join("\n") + odd
}
