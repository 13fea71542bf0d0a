// Whether a tag outside every call belongs to one, or is text: a mention, a sample, other markup.
import { nameIn } from "./block-parameter.ts"
import { following } from "./lookahead.ts"
import { isMarkedTag, type Tag } from "./tags.ts"
import { PARTIAL } from "./text-search.ts"

interface Surroundings {
  readonly text: string
  readonly isFinal: boolean
  /** A block was opened, or a call was read. */
  readonly isInBlock: boolean
  /** Nothing but blanks stands before the tag on its line. */
  readonly startsLine: boolean
  /** Prose stands before the tag on its line, with a blank after it or another tag in it. */
  readonly isMention: boolean
  /** The declared tool that a name means. */
  resolve(name: string): unknown
}

type Verdict = boolean | typeof PARTIAL

export const judgeTag = (tag: Tag, around: Surroundings): Verdict => {
  if (tag.isClosing || tag.name === "unknown") return judgeStray(tag, around)
  switch (tag.name) {
    case "wrapper":
      return judgeWrapper(tag, around)
    case "invoke":
      return judgeInvoke(tag, around)
    case "parameter":
      // A parameter in the place of a call: its call's tag was forgotten.
      return around.isInBlock || (isMarkedTag(tag) && around.startsLine)
  }
}

const judgeWrapper = (tag: Tag, around: Surroundings): Verdict => {
  const next = following(around.text, tag.end, around.isFinal)
  if (next === PARTIAL) return PARTIAL
  const isMarked = isMarkedTag(tag)
  if (next.kind === "tag") {
    const isCall = next.tag.name === "invoke" && !next.tag.isClosing
    return isMarked || isCall
  }
  if (!isMarked) return false
  return next.kind === "end" || around.isInBlock || (around.startsLine && next.hasLineBreak)
}

const judgeInvoke = (tag: Tag, around: Surroundings): Verdict => {
  const name = nameIn(tag)
  const isMarked = isMarkedTag(tag)
  const isDeclared = name !== undefined && around.resolve(name) !== undefined
  if (!isMarked && !isDeclared) return around.isInBlock && name !== undefined
  if (around.isInBlock) return true
  const next = following(around.text, tag.end, around.isFinal)
  if (next === PARTIAL) return PARTIAL
  if (next.kind === "tag")
    return isMarked ? isMarkedTag(next.tag) || isInside(next.tag) : isInside(next.tag)
  if (next.kind === "end") return isMarked || tag.isSelfClosing
  return tag.isSelfClosing ? next.hasLineBreak : next.first === "{"
}

/** A tag that stands inside a call or ends it. */
const isInside = (tag: Tag): boolean =>
  tag.name === "parameter" || (tag.name === "invoke" && tag.isClosing)

/** A closing tag without its opening one. Prose stands around it on its line. */
const judgeStray = (tag: Tag, around: Surroundings): Verdict => {
  if (around.isInBlock) return true
  if (!isMarkedTag(tag) || around.isMention) return false
  const next = following(around.text, tag.end, around.isFinal)
  if (next === PARTIAL) return PARTIAL
  return next.kind !== "text" || next.hasLineBreak
}
