// The tags of tool calls in every spelling that models produce; docs/formats/tool-calls.md lists
// them. A tag is decided by its own text, so that the cuts of a stream cannot matter.
import { DSML } from "@ds4/tokenizer/special-tokens"
import { PARTIAL } from "./text-search.ts"
import { MAX_TAG_UNITS, readAttributes } from "./tag-attributes.ts"

/** wrapper: `tool_calls`. unknown: a marked tag of another name, or of none. */
type TagName = "wrapper" | "invoke" | "parameter" | "unknown"

export interface Tag {
  readonly name: TagName
  readonly isClosing: boolean
  /** Ends in `/>`. */
  readonly isSelfClosing: boolean
  /** The text between `<` or `</` and the name; empty: the plain spelling. */
  readonly marker: string
  readonly attributes: ReadonlyMap<string, string>
  /** Attribute values that stand without a key. */
  readonly bare: readonly string[]
  /** Spelled as trained, or in the short or plain form: no repair was needed to read it. */
  readonly isRegular: boolean
  /** Index after the tag. */
  readonly end: number
}

type Match = Tag | typeof PARTIAL | undefined

const REGULAR_MARKERS: ReadonlySet<string> = new Set([DSML, DSML.slice(1), ""])
const REGULAR_NAMES: ReadonlySet<string> = new Set(["tool_calls", "invoke", "parameter"])

const wrapperNames = ["tool", "function"].flatMap((first) =>
  ["_", "", "-", " "].flatMap((link) => [`${first}${link}calls`, `${first}${link}call`]),
)
const longestFirst = (names: readonly (readonly [string, TagName])[]) =>
  names.toSorted(([a], [b]) => b.length - a.length)
const MARKED_NAMES = longestFirst([
  ...wrapperNames.map((name) => [name, "wrapper"] as const),
  ["invoke", "invoke"],
  ["function", "invoke"],
  ["call", "invoke"],
  ["parameter", "parameter"],
  ["param", "parameter"],
  ["argument", "parameter"],
  ["arg", "parameter"],
])
const PLAIN_NAMES = longestFirst([
  ["tool_calls", "wrapper"],
  ["function_calls", "wrapper"],
  ["invoke", "invoke"],
  ["parameter", "parameter"],
])

const MAX_BARS = 4
const MAX_UNKNOWN_UNITS = 40
const MAX_OTHER_WORD_UNITS = 8
const SLASH = 0x2f
const SPACE = 0x20

/** Box drawing, mathematical, broken, phonetic and ornamental bars. */
const OTHER_BARS: readonly number[] = [0x2502, 0x2223, 0xa6, 0x1c0, 0x2758, 0xffe8]

/** Vertical bars of every kind that models take for the trained one. */
const isBar = (unit: number): boolean =>
  unit === 0xff5c || unit === 0x7c || OTHER_BARS.includes(unit)
const isSlash = (unit: number): boolean => unit === SLASH
const isSpace = (unit: number): boolean => unit === SPACE
const isNameUnit = (unit: number): boolean =>
  (unit >= 0x61 && unit <= 0x7a) ||
  (unit >= 0x41 && unit <= 0x5a) ||
  (unit >= 0x30 && unit <= 0x39) ||
  unit === 0x5f ||
  unit === 0x2e ||
  unit === 0x2d

/** Index after at most `limit` units that match, from `index` on. */
const skip = (
  text: string,
  index: number,
  matches: (unit: number) => boolean,
  limit: number,
): number => {
  let end = index
  while (end < text.length && end - index < limit && matches(text.charCodeAt(end))) end++
  return end
}

interface Head {
  readonly name: TagName
  readonly isClosing: boolean
  readonly marker: string
  readonly isRegular: boolean
  readonly end: number
}

/** Index after "DSML" of any case, "partial" when the text ends inside it. */
const matchWord = (text: string, index: number): number | typeof PARTIAL | undefined => {
  if ((text.charCodeAt(index) | SPACE) !== 0x64 && index < text.length) return undefined
  const found = text.slice(index, index + 4).toUpperCase()
  if (found === "DSML") return index + 4
  return found.length < 4 && "DSML".startsWith(found) ? PARTIAL : undefined
}

/** Index after another word and a bar in the place of "DSML"; `index` if there is none. */
const skipOtherWord = (text: string, index: number): number | typeof PARTIAL => {
  const word = skip(text, index, isNameUnit, MAX_OTHER_WORD_UNITS)
  const end = skip(text, word, isBar, MAX_BARS)
  if (end >= text.length) return PARTIAL
  return word > index && end > word ? end : index
}

interface Marker {
  readonly text: string
  readonly hasWord: boolean
  readonly isClosing: boolean
  readonly end: number
}

const readMarker = (text: string, begin: number): Marker | typeof PARTIAL => {
  const bars = skip(text, begin, isBar, MAX_BARS)
  const word = matchWord(text, skip(text, bars, isSpace, 1))
  if (word === PARTIAL) return PARTIAL
  if (word === undefined) {
    const end = bars > begin ? skipOtherWord(text, bars) : bars
    if (end === PARTIAL) return PARTIAL
    return { text: text.slice(begin, end), hasWord: false, isClosing: false, end }
  }
  const after = skip(text, skip(text, word, isSpace, 1), isBar, MAX_BARS)
  const slash = skip(text, after, isSlash, 1)
  const end = skip(text, slash, isSpace, 2)
  if (end >= text.length) return PARTIAL
  return {
    text: text.slice(begin, after) + text.slice(slash, end),
    hasWord: true,
    isClosing: slash > after,
    end,
  }
}

type Names = readonly (readonly [string, TagName])[]
const byFirstUnit = (names: Names): ReadonlyMap<number, Names> =>
  Map.groupBy(names, ([literal]) => literal.charCodeAt(0))
const MARKED_BY_UNIT = byFirstUnit(MARKED_NAMES)
const PLAIN_BY_UNIT = byFirstUnit(PLAIN_NAMES)

const readName = (
  text: string,
  begin: number,
  isMarked: boolean,
  allowsUnknown: boolean,
): { name: TagName; end: number } | typeof PARTIAL | undefined => {
  if (begin >= text.length) return PARTIAL
  const unit = text.charCodeAt(begin)
  const names = isMarked ? MARKED_BY_UNIT.get(unit | SPACE) : PLAIN_BY_UNIT.get(unit)
  for (const [literal, name] of names ?? []) {
    const found = text.slice(begin, begin + literal.length)
    if ((isMarked ? found.toLowerCase() : found) !== literal.slice(0, found.length)) continue
    const end = begin + literal.length
    if (end >= text.length) return PARTIAL
    if (!isNameUnit(text.charCodeAt(end))) return { name, end }
  }
  if (!allowsUnknown) return undefined
  const end = skip(text, begin, isNameUnit, MAX_UNKNOWN_UNITS)
  return end >= text.length ? PARTIAL : { name: "unknown", end }
}

const readHead = (text: string, index: number): Head | typeof PARTIAL | undefined => {
  const slash = skip(text, index + 1, isSpace, 1)
  const isSlashed = text.charCodeAt(slash) === SLASH
  const begin = skip(text, isSlashed ? slash + 1 : slash, isSpace, 1)
  if (begin >= text.length) return PARTIAL
  const marker = readMarker(text, begin)
  if (marker === PARTIAL) return PARTIAL
  const isMarked = marker.text !== ""
  // "< invoke" and "</ invoke" are no plain tags
  const blanks = begin - index - (isSlashed ? 2 : 1)
  if (!isMarked && blanks > 0) return undefined
  const found = readName(text, marker.end, isMarked, marker.hasWord)
  if (found === undefined || found === PARTIAL) return found
  const spelled = text.slice(marker.end, found.end)
  return {
    name: found.name,
    isClosing: isSlashed || marker.isClosing,
    marker: marker.text,
    isRegular: blanks === 0 && REGULAR_MARKERS.has(marker.text) && REGULAR_NAMES.has(spelled),
    end: found.end,
  }
}

/** Without a bracket or the end of a line no tag is decided; most of a tag arrives so. */
const mayBeDecided = (text: string, index: number): boolean => {
  for (let at = index; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x3e || unit === 0x3c || unit === 0x0a) return true
  }
  return text.length - index > MAX_TAG_UNITS
}

/** The first two letters of plain names and of the marker's word, by the first one. */
const SECOND_UNITS: ReadonlyMap<number, number> = new Map(
  ["ds", "Ds", "to", "fu", "in", "pa"].map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)]),
)

/** Tells most other markup from a tag by its first letters. */
const mayBeTag = (text: string, index: number): boolean => {
  const begin = text.charCodeAt(index + 1) === SLASH ? index + 2 : index + 1
  if (begin >= text.length) return true
  const unit = text.charCodeAt(begin)
  if (unit === SPACE || isBar(unit)) return true
  const second = SECOND_UNITS.get(unit)
  if (second === undefined) return false
  return begin + 1 >= text.length || (text.charCodeAt(begin + 1) | SPACE) === second
}

/** The tag that begins with the `<` at `index`; "partial" when the text ends too early. */
export const matchTag = (text: string, index: number): Match => {
  if (!mayBeTag(text, index)) return undefined
  const head = readHead(text, index)
  if (head === undefined || head === PARTIAL) return head
  if (!mayBeDecided(text, head.end)) return PARTIAL
  const isMarked = head.marker !== ""
  const attributes = readAttributes(text, head.end, isMarked)
  if (attributes === undefined || attributes === PARTIAL) return attributes
  const hasAttributes = attributes.values.size > 0 || attributes.bare.length > 0
  // Only a tag of ours is worth a repair.
  if (head.name === "unknown" && (hasAttributes || text[attributes.end - 1] !== ">"))
    return undefined
  const isTight = hasAttributes || attributes.end === head.end + 1
  return {
    // `<…tool_call name="f">` and the like: the name belongs to a call
    name:
      head.name === "wrapper" && isMarked && attributes.values.has("name") ? "invoke" : head.name,
    isClosing: head.isClosing,
    isSelfClosing: attributes.isSelfClosing,
    marker: head.marker,
    attributes: attributes.values,
    bare: attributes.bare,
    isRegular: head.isRegular && attributes.isRegular && isTight,
    end: attributes.end,
  }
}

export const isMarkedTag = ({ marker }: Tag): boolean => marker !== ""

/** Text at the end of an answer that is the beginning of a tag, and of nothing else. */
export const isTagBeginning = (text: string): boolean =>
  /^< ?\/? ?[\uff5c|\u2502\u2223\u00a6\u01c0\u2758\uffe8]/.test(text) ||
  /^<\/?(?:dsml|tool_calls|function_calls|(?:invoke|parameter) )/i.test(text)
