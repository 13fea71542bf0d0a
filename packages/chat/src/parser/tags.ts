// The tags of a call block, in the spellings models produce. Every head ("<" or "</", marker, name)
// is one of a small set of literals, so "could this become a tag?" is a prefix test.
import { DSML } from "@ds4/tokenizer/special-tokens"

type TagName = "tool_calls" | "invoke" | "parameter"

/**
 * full: `<｜DSML｜…`, as trained. short: the first bar missing. plain: no marker at all.
 * irregular: doubled bars or a space after the marker, accepted only for declared tools.
 */
export type Family = "full" | "short" | "plain" | "irregular"

export interface Tag {
  readonly name: TagName
  readonly isClosing: boolean
  readonly family: Family
  readonly attributes: ReadonlyMap<string, string>
  /** Spelled as trained: no typographic quotes, no stray space. */
  readonly isRegular: boolean
  /** Index after the tag. */
  readonly end: number
}

/** The text ends before it is decided whether a tag stands here. */
export const PARTIAL = "partial"

const BAR = "\uff5c"
const REGULAR_MARKERS: readonly (readonly [string, Family])[] = [
  [DSML, "full"],
  [DSML.slice(1), "short"],
  ["", "plain"],
]
const IRREGULAR_MARKERS: readonly (readonly [string, Family])[] = ["", BAR, BAR + BAR]
  .flatMap((before) =>
    [BAR, BAR + BAR].flatMap((after) => ["", " "].map((space) => `${before}DSML${after}${space}`)),
  )
  .filter((marker) => !REGULAR_MARKERS.some(([regular]) => regular === marker))
  .map((marker) => [marker, "irregular"] as const)

interface Head {
  readonly text: string
  readonly name: TagName
  readonly family: Family
  readonly isClosing: boolean
}

const headsOf = (markers: readonly (readonly [string, Family])[]): Head[] =>
  markers.flatMap(([marker, family]) =>
    (["tool_calls", "invoke", "parameter"] as const).flatMap((name) => [
      { text: `<${marker}${name}`, name, family, isClosing: false },
      { text: `</${marker}${name}`, name, family, isClosing: true },
    ]),
  )

const ALL_HEADS = headsOf([...REGULAR_MARKERS, ...IRREGULAR_MARKERS])
const OPENER_HEADS = ALL_HEADS.filter(({ name, isClosing }) => name === "tool_calls" && !isClosing)
const FAMILY_HEADS: Readonly<Record<Family, readonly Head[]>> = {
  full: ALL_HEADS.filter(({ family }) => family === "full"),
  short: ALL_HEADS.filter(({ family }) => family === "short"),
  plain: ALL_HEADS.filter(({ family }) => family === "plain"),
  irregular: ALL_HEADS.filter(({ family }) => family !== "plain"),
}
const MARKED_HEADS = FAMILY_HEADS.irregular

/**
 * No sane tag is longer; without a bound a missing bracket would hold back everything that follows.
 */
const MAX_TAG_UNITS = 4096

const SPACE = /\s/
const OPENING_QUOTE = /["'\u201c\u201d\u201e\u2018\u2019]/
const isTypographic = (quote: string): boolean => quote !== '"' && quote !== "'"
const closes = (open: string, candidate: string): boolean =>
  isTypographic(open) ? OPENING_QUOTE.test(candidate) : candidate === open

interface Attributes {
  readonly values: Map<string, string>
  readonly end: number
  readonly isRegular: boolean
}

/** Reads `name="value"` pairs up to and including the bracket. */
const readAttributes = (text: string, index: number): Attributes | typeof PARTIAL | undefined => {
  const values = new Map<string, string>()
  const begin = index
  let isRegular = true
  for (;;) {
    while (index < text.length && SPACE.test(text.charAt(index))) index++
    if (text[index] === ">") return { values, end: index + 1, isRegular }
    const keyBegin = index
    while (/[A-Za-z_]/.test(text.charAt(index))) index++
    const key = text.slice(keyBegin, index)
    if (index >= text.length) return text.length - begin > MAX_TAG_UNITS ? undefined : PARTIAL
    if (key === "" || text[index] !== "=") return undefined
    const quote = text.charAt(++index)
    if (quote === "") return PARTIAL
    if (!OPENING_QUOTE.test(quote)) return undefined
    const valueBegin = ++index
    while (index < text.length && !closes(quote, text.charAt(index))) index++
    if (index >= text.length) return text.length - begin > MAX_TAG_UNITS ? undefined : PARTIAL
    if (isTypographic(quote)) isRegular = false
    values.set(key, text.slice(valueBegin, index++))
  }
}

const matchHeads = (
  heads: readonly Head[],
  text: string,
  index: number,
): Tag | typeof PARTIAL | undefined => {
  let isPartial = false
  for (const head of heads) {
    if (!text.startsWith(head.text, index)) {
      const available = text.length - index
      if (available < head.text.length && head.text.startsWith(text.slice(index))) isPartial = true
      continue
    }
    const attributes = readAttributes(text, index + head.text.length)
    if (attributes === PARTIAL) return PARTIAL
    if (attributes === undefined) continue
    const { values, end, isRegular } = attributes
    const isTight = values.size > 0 || end === index + head.text.length + 1
    const { name, isClosing, family } = head
    return {
      name,
      isClosing,
      family,
      attributes: values,
      end,
      isRegular: isRegular && isTight && family !== "irregular",
    }
  }
  return isPartial ? PARTIAL : undefined
}

/** A block opener of any family at `index`. */
export const matchOpener = (text: string, index: number): Tag | typeof PARTIAL | undefined => {
  const tag = matchHeads(OPENER_HEADS, text, index)
  return tag === undefined || tag === PARTIAL || tag.attributes.size === 0 ? tag : undefined
}

/**
 * A tag between values of a block of `family`: marked blocks take every marked spelling, plain ones
 * only plain.
 */
export const matchTag = (
  text: string,
  index: number,
  family: Family,
): Tag | typeof PARTIAL | undefined =>
  matchHeads(family === "plain" ? FAMILY_HEADS.plain : MARKED_HEADS, text, index)

/**
 * A tag inside a value, where only the block's own spelling counts: anything else is the value's
 * text.
 */
export const matchTagInValue = (
  text: string,
  index: number,
  family: Family,
): Tag | typeof PARTIAL | undefined => matchHeads(FAMILY_HEADS[family], text, index)
