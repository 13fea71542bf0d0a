// Parses generated text into reasoning, text and calls as it arrives. Positions in the text decide
// everything, never the cuts between its pieces. A stream and a whole answer therefore agree.
import { THINK_CLOSE, THINK_OPEN } from "@ds4/tokenizer/special-tokens"
import { BlockParser } from "./block-parser.ts"
import { CallStream } from "./call-stream.ts"
import type { AnswerPart, OutputEvent, ParsedCall } from "./events.ts"
import type { EngineFinish, OutputParserOptions, OutputResult } from "./parser-options.ts"
import { PARTIAL, type Tag, matchOpener } from "./tags.ts"
import { type Matcher, findFirst, matchLiteral } from "./text-search.ts"

type State = "start" | "thinking" | "thinking-block" | "content" | "block" | "done"
type Hit = { readonly tag: Tag } | { readonly literal: string }

/**
 * After a complete block in open thinking, this much further text without `</think>` shows it was
 * only quoted.
 */
const QUOTED_BLOCK_TAIL_UNITS = 256

const DEFAULT_HOLD_UNITS = 1024

const randomCallId = (): string =>
  `call_${Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex")}`

const isSpaceUnit = (unit: number): boolean => unit === 0x20 || (unit >= 0x09 && unit <= 0x0d)

export class OutputParser {
  private state: State
  private buffer = ""
  private scanned = 0 // no match begins before this index of the buffer
  // so many units at the start of the buffer are white space waiting for an opener
  private heldSpace = 0
  private lastEmitted = "\n" // decides whether the buffer starts a line
  private events: OutputEvent[] = []
  private block: BlockParser | undefined
  private blockHead = "" // white space before the block, and its opener
  private blockText: string | undefined
  private firstCallOfBlock = 0
  // the end of a block held in thinking: a closing tag is looked for across pieces
  private recent = ""
  // events of a block that may still turn out to be text
  private quietEvents: OutputEvent[] | undefined
  private reasoning = ""
  private content = ""
  private readonly calls: ParsedCall[] = []
  private callCount = 0
  private stopString: string | undefined
  private isCut = false
  private readonly declared: ReadonlySet<string>
  private readonly stopStrings: readonly string[]
  private readonly contentMatcher: Matcher<Hit>
  private readonly thinkingMatcher: Matcher<Hit>

  constructor(private readonly options: OutputParserOptions) {
    this.state = options.thinking ? "start" : "content"
    this.declared = new Set(options.tools?.map(({ name }) => name))
    this.stopStrings = (options.stopStrings ?? []).filter((text) => text !== "")
    this.contentMatcher = this.matcher(this.stopStrings, this.hasTools)
    this.thinkingMatcher = this.matcher([THINK_CLOSE], this.looksForCallsInThinking)
  }

  private get hasTools(): boolean {
    return this.declared.size > 0
  }

  private get looksForCallsInThinking(): boolean {
    return this.hasTools && this.options.strictTools !== true
  }

  /** The answer is over, by a complete call block or a stop string: generation should stop. */
  get isDone(): boolean {
    return this.state === "done"
  }

  /** The part of the answer that the next text belongs to, as far as that is certain. */
  get part(): AnswerPart {
    if (this.state === "start" || this.state === "thinking") return "reasoning"
    return this.state === "content" || this.state === "done" ? "text" : "call"
  }

  private matcher(literals: readonly string[], withOpeners: boolean): Matcher<Hit> {
    const firstUnits = new Set(literals.map((literal) => literal.charCodeAt(0)))
    if (withOpeners) firstUnits.add(0x3c)
    return {
      firstUnits,
      match: (text, index) => {
        const tag = withOpeners ? this.openerAt(text, index) : undefined
        if (tag !== undefined && tag !== PARTIAL) return { tag }
        const literal = matchLiteral(text, index, literals)
        return typeof literal === "object" ? literal : (tag ?? literal)
      },
    }
  }

  /** The plain spelling is ordinary markup unless it starts a line. */
  private openerAt(text: string, index: number): Tag | typeof PARTIAL | undefined {
    const tag = matchOpener(text, index)
    if (tag === undefined || tag === PARTIAL || tag.family !== "plain") return tag
    const before = index > 0 ? text[index - 1] : this.lastEmitted
    return before === "\n" ? tag : undefined
  }

  /** Takes generated text as it was decoded; returns what became certain. */
  push(text: string): OutputEvent[] {
    if (this.state === "done") return []
    this.buffer += text
    while (this.advance(false));
    return this.drain()
  }

  /** Ends the turn and returns everything held back. */
  end(finish: EngineFinish): OutputEvent[] {
    this.isCut = finish === "cut"
    while (this.advance(true));
    return this.drain()
  }

  /** Valid after end(), and as soon as isDone. */
  get result(): OutputResult {
    const { reasoning, content, calls, stopString, blockText: block } = this
    const endedByCalls = block !== undefined || (calls.length > 0 && !this.isCut)
    const endedByCut = this.isCut && stopString === undefined
    const finish = endedByCalls ? "tool_calls" : endedByCut ? "length" : "stop"
    return { reasoning, content, calls: [...calls], finish, stopString, block }
  }

  private drain(): OutputEvent[] {
    const { events } = this
    this.events = []
    return events
  }

  /** One transition; false when the rest must wait. */
  private advance(isFinal: boolean): boolean {
    switch (this.state) {
      case "start":
        return this.advanceStart(isFinal)
      case "thinking":
        return this.search(this.thinkingMatcher, this.looksForCallsInThinking, isFinal)
      case "thinking-block":
        return this.advanceThinkingBlock(isFinal)
      case "content":
        return this.search(this.contentMatcher, this.hasTools, isFinal)
      case "block":
        return this.advanceBlock(isFinal)
      case "done":
        return false
    }
  }

  /** Models sometimes repeat the tag that the prompt ended with. */
  private advanceStart(isFinal: boolean): boolean {
    const opening = matchLiteral(this.buffer, 0, [THINK_OPEN])
    if (opening === "partial" && !isFinal) return false
    if (typeof opening === "object") this.buffer = this.buffer.slice(THINK_OPEN.length)
    this.state = "thinking"
    return true
  }

  private emitText(text: string): void {
    if (text === "") return
    const type = this.state === "thinking" || this.state === "thinking-block" ? "reasoning" : "text"
    if (type === "reasoning") this.reasoning += text
    else this.content += text
    this.lastEmitted = text.at(-1) ?? this.lastEmitted
    this.events.push({ type, text })
  }

  private emitUpTo(end: number): void {
    this.emitText(this.buffer.slice(0, end))
    this.buffer = this.buffer.slice(end)
  }

  /**
   * Start of the white space that ends at `end`; what was held before need not be looked at again.
   */
  private spaceStart(end: number): number {
    let start = end
    while (start > this.heldSpace && isSpaceUnit(this.buffer.charCodeAt(start - 1))) start--
    return start === this.heldSpace ? 0 : start
  }

  private replaceBuffer(text: string): void {
    this.buffer = text
    this.scanned = this.heldSpace = 0
  }

  private search(matcher: Matcher<Hit>, holdsSpace: boolean, isFinal: boolean): boolean {
    const finding = findFirst(this.buffer, this.scanned, matcher, isFinal)
    if (finding?.found !== undefined) {
      this.act(finding.found, finding.at)
      return true
    }
    const resume = finding?.at ?? this.buffer.length
    const endsInPair =
      !isFinal && resume > 0 && (this.buffer.charCodeAt(resume - 1) & 0xfc00) === 0xd800
    const limit = endsInPair ? resume - 1 : resume
    const end = holdsSpace && !isFinal ? this.spaceStart(limit) : limit
    this.emitUpTo(end)
    this.scanned = resume - end
    this.heldSpace = limit - end
    return false
  }

  private act(hit: Hit, at: number): void {
    if ("tag" in hit) return this.openBlock(hit.tag, at)
    this.emitUpTo(at)
    this.replaceBuffer(this.buffer.slice(hit.literal.length))
    if (this.state === "thinking") {
      this.state = "content"
      this.lastEmitted = "\n"
      return
    }
    this.stopString = hit.literal
    this.state = "done"
  }

  private openBlock(tag: Tag, at: number): void {
    const begin = this.spaceStart(at)
    this.emitUpTo(begin)
    this.blockHead = this.buffer.slice(0, tag.end - begin)
    this.replaceBuffer(this.buffer.slice(tag.end - begin))
    this.firstCallOfBlock = this.callCount
    this.recent = ""
    const inThinking = this.state === "thinking"
    this.quietEvents = inThinking || !tag.isRegular ? [] : undefined
    this.block = new BlockParser(tag.family, tag.isRegular, {
      isDeclared: (name) => this.declared.has(name),
      openCall: (name) => this.openCall(name),
    })
    this.state = inThinking ? "thinking-block" : "block"
  }

  private openCall(name: string): CallStream {
    const quiet = this.quietEvents
    const id = (this.options.newCallId ?? randomCallId)()
    const hold =
      quiet === undefined ? (this.options.holdArgumentUnits ?? DEFAULT_HOLD_UNITS) : Infinity
    return new CallStream(this.callCount++, id, name, hold, (event) =>
      (quiet ?? this.events).push(event),
    )
  }

  private feedBlock(block: BlockParser): void {
    block.feed(this.buffer)
    this.replaceBuffer("")
  }

  private advanceBlock(isFinal: boolean): boolean {
    const { block } = this
    if (block === undefined) throw new Error("state is block without a block")
    this.feedBlock(block)
    if (block.state === "closed" || (isFinal && !this.isCut && block.lacksOnlyCloser)) {
      this.finishBlock(block)
      return false
    }
    if (block.state === "open" && !isFinal) return false
    this.abandonBlock(block)
    return true
  }

  private finishBlock(block: BlockParser): void {
    this.events.push(...(this.quietEvents ?? []))
    this.calls.push(...block.calls)
    this.blockText = this.blockHead + block.text
    this.state = "done"
  }

  /** The block is not one, or was cut: complete calls stand, the text of the rest is content. */
  private abandonBlock(block: BlockParser): void {
    const quiet = this.quietEvents
    const isDelivered = block.calls.length > 0 && (quiet === undefined || this.isCut)
    if (isDelivered) {
      this.events.push(...(quiet ?? []))
      this.calls.push(...block.calls)
    }
    this.callCount =
      this.firstCallOfBlock +
      (isDelivered ? block.calls.length : 0) +
      (block.hasHalfDelivered ? 1 : 0)
    this.block = this.quietEvents = undefined
    this.state = "content"
    // A cut call is not delivered, and neither is its text once others of its block were.
    if (this.isCut && (isDelivered || block.hasHalfDelivered)) return
    if (!isDelivered) this.emitText(this.blockHead)
    this.replaceBuffer(isDelivered ? block.undelivered : block.text)
  }

  private advanceThinkingBlock(isFinal: boolean): boolean {
    const { block } = this
    if (block === undefined) throw new Error("state is thinking-block without a block")
    this.recent = this.recent.slice(1 - THINK_CLOSE.length) + this.buffer
    this.feedBlock(block)
    if (this.recent.includes(THINK_CLOSE) || block.state === "failed")
      return this.releaseQuoted(block, 0)
    if (block.state === "closed") {
      if (block.rest.length >= QUOTED_BLOCK_TAIL_UNITS)
        return this.releaseQuoted(block, block.text.length)
      if (!isFinal) return false
      if (block.names.some((name) => this.declared.has(name))) {
        this.finishBlock(block)
        return false
      }
    }
    return isFinal && this.releaseQuoted(block, 0)
  }

  /**
   * Turns a block in thinking back into reasoning: its opener and `certain` further units; the rest
   * is read again.
   */
  private releaseQuoted(block: BlockParser, certain: number): boolean {
    const held = block.text + block.rest
    this.emitText(this.blockHead + held.slice(0, certain))
    this.replaceBuffer(held.slice(certain))
    this.callCount = this.firstCallOfBlock
    this.block = this.quietEvents = undefined
    this.state = "thinking"
    return true
  }
}
