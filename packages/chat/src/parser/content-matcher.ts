// Finds what ends plain text in an answer: a stop string, or a tag of a call.
import type { CodeSpans } from "./code-spans.ts"
import type { ContentState } from "./content-state.ts"
import type { DeclaredTools } from "./declared-tools.ts"
import { judgeTag } from "./tag-verdict.ts"
import { isMarkedTag, isTagBeginning, matchTag, type Tag } from "./tags.ts"
import { type Matcher, matchLiteral, PARTIAL } from "./text-search.ts"

/** beginning: what may have become a tag, where the answer ends. */
export type ContentHit =
  | { readonly tag: Tag }
  | { readonly literal: string }
  | { readonly beginning: string }

/** Text in which a plain block that was left as text is looked for. */
const PLAIN_OPENER_UNITS = 64

/** The part of a line that is looked at for other tags. */
const MENTION_UNITS = 512

export class ContentMatcher implements Matcher<ContentHit> {
  readonly firstUnits: ReadonlySet<number>

  constructor(
    private readonly tools: DeclaredTools,
    private readonly stopStrings: readonly string[],
    private readonly state: ContentState,
    private readonly code: CodeSpans,
  ) {
    const firstUnits = new Set(stopStrings.map((literal) => literal.charCodeAt(0)))
    if (!tools.isEmpty) firstUnits.add(0x3c)
    this.firstUnits = firstUnits
  }

  match(text: string, index: number): ContentHit | typeof PARTIAL | undefined {
    const tag = text[index] === "<" && !this.tools.isEmpty ? this.tagAt(text, index) : undefined
    if (tag !== undefined && tag !== PARTIAL) return tag
    const literal = matchLiteral(text, index, this.stopStrings)
    return typeof literal === "object" ? literal : (tag ?? literal)
  }

  private tagAt(text: string, index: number): ContentHit | typeof PARTIAL | undefined {
    const tag = matchTag(text, index)
    if (tag === undefined) return undefined
    if (tag === PARTIAL) {
      const isBeginning =
        this.state.isFinal && (this.isBehindTag(text, index) || isTagBeginning(text.slice(index)))
      if (!isBeginning) return PARTIAL
      return this.code.isCodeAt(text, index) === true ? undefined : { beginning: text.slice(index) }
    }
    const isInBlock = this.isInBlock(tag, text, index)
    if (!isMarkedTag(tag) && !isInBlock && !this.beginsPlainBlock(text, index)) return undefined
    const isCode = this.code.isCodeAt(text, index)
    if (isCode === true) return undefined
    if (isCode === PARTIAL && !this.state.isFinal) return PARTIAL
    const verdict = judgeTag(tag, {
      text,
      isFinal: this.state.isFinal,
      isInBlock,
      startsLine: this.startsLine(text, index),
      isMention: this.isMention(text, index),
      resolve: (name) => this.tools.resolve(name),
    })
    if (verdict === PARTIAL) return PARTIAL
    return verdict ? { tag } : undefined
  }

  /** A plain tag is ordinary markup unless it starts a line, outside of a block of such. */
  private beginsPlainBlock(text: string, index: number): boolean {
    if ((index > 0 ? text[index - 1] : this.state.lastUnit) !== "\n") return false
    const before = this.state.text.slice(-PLAIN_OPENER_UNITS) + text.slice(0, index)
    return !/<(?:tool|function)_calls>\s*$/.test(before.slice(-PLAIN_OPENER_UNITS))
  }

  /**
   * Whether the tag stands in the open block. Text ends a block of undeclared tools. Plain tags
   * count only directly behind another tag of the block.
   */
  private isInBlock(tag: Tag, text: string, index: number): boolean {
    if (this.state.block === undefined) return false
    if (isMarkedTag(tag) && this.state.block.undeclared.length === 0) return true
    return this.isBehindTag(text, index)
  }

  private isBehindTag(text: string, index: number): boolean {
    return this.state.followsTag && text.slice(0, index).trim() === ""
  }

  private isMention(text: string, index: number): boolean {
    if (this.startsLine(text, index)) return false
    const before = this.state.sinceTag(MENTION_UNITS) + text.slice(0, index)
    const line = before.slice(before.lastIndexOf("\n") + 1)
    return /^>|\s$|<\/?[\uff5c|]/.test(line.slice(-MENTION_UNITS).trimStart())
  }

  /** Only blanks stand between the line's start and `index`. */
  private startsLine(text: string, index: number): boolean {
    let at = index
    while (at > 0 && (text[at - 1] === " " || text[at - 1] === "\t")) at--
    return (at > 0 ? text[at - 1] : this.state.lastUnit) === "\n"
  }
}
