// Parses generated text into reasoning, text and calls as it arrives. Positions in the text decide
// everything, never the cuts between its pieces. A stream and a whole answer therefore agree.
import { THINK_CLOSE, THINK_OPEN } from "@ds4/tokenizer/special-tokens"
import { CodeSpans } from "./code-spans.ts"
import { ContentParser } from "./content-parser.ts"
import { DeclaredTools } from "./declared-tools.ts"
import type { AnswerPart, OutputEvent } from "./events.ts"
import type { EngineFinish, OutputParserOptions, OutputResult } from "./parser-options.ts"
import { isMarkedTag, matchTag } from "./tags.ts"
import { TextCursor } from "./text-cursor.ts"
import { type Matcher, matchLiteral, PARTIAL } from "./text-search.ts"

type State = "start" | "thinking" | "considering" | "content"
/** close: the tag that ends the reasoning. opener: a tag that may begin a call. */
type Hit = { readonly kind: "close" } | { readonly kind: "opener"; readonly end: number }

/** A call in open reasoning: it counts only if the answer ends right after it. */
interface Considered {
  /** White space, opener and everything after it. */
  text: string
  /** Index after the opener. */
  readonly openerEnd: number
  readonly parser: ContentParser
  readonly events: OutputEvent[]
}

const randomCallId = (): string =>
  `call_${Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex")}`

export class OutputParser {
  private state: State
  private buffer = "" // reasoning that is not decided yet
  private readonly cursor = new TextCursor()
  private lastUnit = "\n" // decides whether the buffer starts a line
  private events: OutputEvent[] = []
  private considered: Considered | undefined
  private reasoning = ""
  private isCut = false
  private readonly tools: DeclaredTools
  private content: ContentParser
  private readonly code = new CodeSpans()
  private readonly matcher: Matcher<Hit>
  private readonly looksForCalls: boolean

  constructor(private readonly options: OutputParserOptions) {
    this.state = options.thinking ? "start" : "content"
    this.tools = new DeclaredTools(options.tools ?? [])
    this.looksForCalls = !this.tools.isEmpty && options.strictTools !== true
    this.matcher = {
      firstUnits: new Set([0x3c]),
      match: (text, index) => this.match(text, index),
    }
    this.content = this.contentParser((event) => this.events.push(event), false)
  }

  /** The answer is over, by a complete call block or a stop string: generation should stop. */
  get isDone(): boolean {
    return this.state === "content" && this.content.isDone
  }

  /** The part of the answer that the next text belongs to, as far as that is certain. */
  get part(): AnswerPart {
    if (this.state === "content") return this.content.isInCall ? "call" : "text"
    return this.state === "considering" ? "call" : "reasoning"
  }

  private contentParser(emit: (event: OutputEvent) => void, isConsidered: boolean): ContentParser {
    const { newCallId = randomCallId, holdArgumentUnits = 0, stopStrings = [] } = this.options
    return new ContentParser(
      {
        tools: this.tools,
        stopStrings: isConsidered ? [] : stopStrings.filter((text) => text !== ""),
        holdArgumentUnits,
        newCallId,
        emit,
        readsOn: isConsidered,
      },
      isConsidered ? this.lastUnit : "\n",
    )
  }

  /** Takes generated text as it was decoded; returns what became certain. */
  push(text: string): OutputEvent[] {
    if (this.state === "content") this.content.push(text)
    else {
      this.buffer += text
      while (this.advance(false));
    }
    return this.drain()
  }

  /** Ends the turn and returns everything held back. */
  end(finish: EngineFinish): OutputEvent[] {
    this.isCut = finish === "cut"
    while (this.advance(true));
    if (this.state === "content") this.content.end(finish)
    return this.drain()
  }

  /** Valid after end(), and as soon as isDone. */
  get result(): OutputResult {
    const { content, calls, stopString, blockText: block, warnings, isClosed } = this.content
    const endedByCalls = calls.length > 0 && (isClosed || !this.isCut)
    const endedByCut = this.isCut && stopString === undefined
    const finish = endedByCalls ? "tool_calls" : endedByCut ? "length" : "stop"
    return {
      reasoning: this.reasoning,
      content,
      calls: [...calls],
      finish,
      stopString,
      block,
      warnings: [...warnings],
    }
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
        return this.search(isFinal)
      case "considering":
        return this.considered !== undefined && this.consider(this.considered, isFinal)
      case "content":
        return false
    }
  }

  /** Models sometimes repeat the tag that the prompt ended with. */
  private advanceStart(isFinal: boolean): boolean {
    const opening = matchLiteral(this.buffer, 0, [THINK_OPEN])
    if (opening === PARTIAL && !isFinal) return false
    if (typeof opening === "object") this.buffer = this.buffer.slice(THINK_OPEN.length)
    this.state = "thinking"
    return true
  }

  private match(text: string, index: number): Hit | typeof PARTIAL | undefined {
    const close = matchLiteral(text, index, [THINK_CLOSE])
    if (typeof close === "object") return { kind: "close" }
    const opener = this.looksForCalls ? this.openerAt(text, index) : undefined
    return opener ?? close
  }

  private openerAt(text: string, index: number): Hit | typeof PARTIAL | undefined {
    const tag = matchTag(text, index)
    if (tag === undefined || tag === PARTIAL) return tag
    const before = index > 0 ? text.charAt(index - 1) : this.lastUnit
    const opensPlain = !tag.isClosing && tag.name !== "parameter" && before === "\n"
    if (!isMarkedTag(tag) && !opensPlain) return undefined
    const isCode = this.code.isCodeAt(text, index)
    if (isCode === PARTIAL) return PARTIAL
    return isCode ? undefined : { kind: "opener", end: tag.end }
  }

  private emitUpTo(end: number): void {
    if (end === 0) return
    const text = this.buffer.slice(0, end)
    this.buffer = this.buffer.slice(end)
    if (this.looksForCalls) this.code.take(text)
    this.reasoning += text
    this.lastUnit = text.at(-1) ?? this.lastUnit
    this.events.push({ type: "reasoning", text })
  }

  private search(isFinal: boolean): boolean {
    const holdsSpace = this.looksForCalls && !isFinal
    const next = this.cursor.search(this.buffer, this.matcher, { holdsSpace, isFinal })
    if (next.found === undefined) this.emitUpTo(next.text)
    else if (next.found.kind === "close") this.closeReasoning(next.at)
    else this.openConsidered(next.at, next.found.end)
    return next.found !== undefined
  }

  private closeReasoning(at: number): void {
    this.emitUpTo(at)
    this.state = "content"
    this.content.push(this.buffer.slice(THINK_CLOSE.length))
    this.buffer = ""
  }

  private openConsidered(at: number, end: number): void {
    const begin = this.cursor.spaceStart(this.buffer, at)
    this.emitUpTo(begin)
    const events: OutputEvent[] = []
    const parser = this.contentParser((event) => events.push(event), true)
    this.considered = { text: "", openerEnd: end - begin, parser, events }
    this.state = "considering"
  }

  /** Reads a call in open reasoning without telling anybody, until its end is known. */
  private consider(considered: Considered, isFinal: boolean): boolean {
    const { parser, events } = considered
    const seen = considered.text.length
    considered.text += this.buffer
    parser.push(this.buffer)
    this.buffer = ""
    const close = considered.text.indexOf(THINK_CLOSE, Math.max(0, seen - THINK_CLOSE.length + 1))
    if (close >= 0) return this.releaseConsidered(considered, close)
    if (parser.rest.trim() !== "")
      return this.releaseConsidered(considered, considered.text.length - parser.rest.length)
    if (parser.firstTextAt !== undefined)
      return this.releaseConsidered(considered, parser.firstTextAt)
    if (!isFinal) return false
    if (!parser.isDone && !this.isCut) parser.end("stop")
    if (this.isCut || parser.calls.length === 0)
      return this.releaseConsidered(considered, considered.text.length)
    this.events.push(...events)
    this.content = parser
    this.state = "content"
    return false
  }

  /**
   * The call was only thought of: `certain` units of it, at least its opener, are reasoning, and
   * the rest is read again.
   */
  private releaseConsidered({ text, openerEnd }: Considered, certain: number): boolean {
    this.considered = undefined
    this.state = "thinking"
    this.buffer = text
    this.cursor.reset()
    this.emitUpTo(Math.max(certain, openerEnd))
    return true
  }
}
