// Finds where the value of a parameter ends. Its own closing tag ends it anywhere. Another tag ends
// it only where what follows shows that the closing tag was forgotten or misspelled.
import { DSML } from "@ds4/tokenizer/special-tokens"
import { PARAMETER_CLOSE } from "./closing-tag-escape.ts"
import { continuesCall, following } from "./lookahead.ts"
import { isMarkedTag, isTagBeginning, matchTag, type Tag } from "./tags.ts"
import { PARTIAL } from "./text-search.ts"

type ValueEnd =
  /** The value ends at `at`, and its closing tag at `end`. */
  | { readonly kind: "closed"; readonly at: number; readonly end: number; readonly isOwn: boolean }
  /** The value ends at `at`; the tag at `tagAt` is not its own. */
  | { readonly kind: "implied"; readonly at: number; readonly tagAt: number }
  /** From `at` on more text decides. */
  | { readonly kind: "waiting"; readonly at: number }

interface DeclaredNames {
  isDeclared(name: string): boolean
}

/** @param marker of the parameter's opening tag */
export const findValueEnd = (
  text: string,
  from: number,
  marker: string,
  declared: DeclaredNames,
  isFinal: boolean,
): ValueEnd | undefined => {
  const context = { marker, declared }
  for (let index = text.indexOf("<", from); index >= 0; index = text.indexOf("<", index + 1)) {
    const tag = matchTag(text, index)
    if (tag === undefined) continue
    const end =
      tag === PARTIAL ? atPartial(text, index, isFinal) : endAt(text, index, tag, context, isFinal)
    if (end !== undefined) return end
  }
  return undefined
}

interface ValueContext {
  readonly marker: string
  readonly declared: DeclaredNames
}

/** The beginning of a tag at the end of the answer stands for the tag. */
const atPartial = (text: string, index: number, isFinal: boolean): ValueEnd | undefined => {
  if (!isFinal) return { kind: "waiting", at: index }
  const isTag = isTagBeginning(text.slice(index))
  return isTag ? { kind: "implied", at: index, tagAt: index } : undefined
}

const endAt = (
  text: string,
  index: number,
  tag: Tag,
  context: ValueContext,
  isFinal: boolean,
): ValueEnd | undefined => {
  const isParameterClose = tag.name === "parameter" && tag.isClosing
  if (isParameterClose && tag.marker === context.marker)
    return { kind: "closed", at: index, end: tag.end, isOwn: true }
  const isPlainCall = context.marker === ""
  if (!isParameterClose && !isPlainCall && !isMarkedTag(tag)) return undefined
  const verdict = judge(text, tag, context, isFinal)
  if (verdict === PARTIAL) return { kind: "waiting", at: index }
  if (verdict === "closes") return { kind: "closed", at: index, end: tag.end, isOwn: false }
  if (verdict === undefined) return undefined
  const isLineStart = index > 0 && text[index - 1] === "\n"
  if (verdict === "ends a line" && !isLineStart) return undefined
  // The line break before a tag that is not the value's own stood for the missing one.
  return { kind: "implied", at: isLineStart ? index - 1 : index, tagAt: index }
}

/**
 * closes: the tag stands for the value's closing tag. ends: it is another one, and that was
 * forgotten. ends a line: the same, if it begins a line.
 */
type Verdict = "closes" | "ends" | "ends a line" | typeof PARTIAL | undefined

const judge = (text: string, tag: Tag, context: ValueContext, isFinal: boolean): Verdict => {
  const isNamed = tag.attributes.size > 0 || tag.bare.length > 0
  if (tag.name === "parameter" || tag.name === "unknown") {
    if (isNamed && !tag.isClosing) return "ends a line"
    if (tag.name === "unknown" && !tag.isClosing) return undefined
    const goesOn = continuesCall(text, tag.end, context.marker === "", isFinal)
    return goesOn === PARTIAL ? PARTIAL : goesOn ? "closes" : undefined
  }
  if (!tag.isClosing && tag.name === "wrapper") return undefined
  if (!tag.isClosing && isNamed)
    return context.declared.isDeclared(tag.attributes.get("name") ?? tag.bare[0] ?? "")
      ? "ends a line"
      : undefined
  return judgeOuterClose(text, tag, isFinal)
}

/** The closing tag of a call or a block inside a value. */
const judgeOuterClose = (text: string, tag: Tag, isFinal: boolean): Verdict => {
  const next = following(text, tag.end, isFinal)
  if (next === PARTIAL) return PARTIAL
  if (next.kind === "end") return "ends"
  if (next.kind === "text") return undefined
  const closesCall = next.tag.name === "invoke" && next.tag.isClosing
  if (closesCall || (next.tag.name === "parameter" && !next.tag.isClosing)) return "closes"
  if (tag.name === "wrapper") return undefined
  const endsBlock = next.tag.name === "wrapper" && next.tag.isClosing
  return endsBlock || (next.tag.name === "invoke" && !next.tag.isClosing) ? "ends" : undefined
}

const TAIL = `${PARAMETER_CLOSE}\n</${DSML}invoke>\n</${DSML}tool_calls>`

/** Whether text between the tags of a parameter ends where it should, whatever is declared. */
export const isReadWhole = (text: string): boolean => {
  if (!text.includes("<")) return true
  const end = findValueEnd(text + TAIL, 0, DSML, { isDeclared: () => true }, true)
  return end?.kind === "closed" && end.isOwn && end.at === text.length
}
