// Reads an answer after its reasoning: text and calls. A tag is a call's only where what follows it
// says so; samples in code, calls of undeclared tools and mentions in prose stay text.
import { PROBLEMS, problemNote, undeclaredProblem } from "./call-problem.ts"
import { CallStream } from "./call-stream.ts"
import { CodeSpans } from "./code-spans.ts"
import { type ContentHit, ContentMatcher } from "./content-matcher.ts"
import { type CallBlock, ContentState, newBlock } from "./content-state.ts"
import type { DeclaredTools } from "./declared-tools.ts"
import type { OutputEvent, ParsedCall } from "./events.ts"
import type { EngineFinish } from "./parser-options.ts"
import type { Tag } from "./tags.ts"
import { type OpenCall, openCall } from "./open-call.ts"
import { TextCursor } from "./text-cursor.ts"
import { TextBuffer } from "./text-buffer.ts"

interface ContentContext {
  /** Closing a block does not end the answer: only what follows shows whether it was meant. */
  readonly readsOn: boolean
  readonly tools: DeclaredTools
  /** End the answer; no part of it. */
  readonly stopStrings: readonly string[]
  readonly holdArgumentUnits: number
  newCallId(): string
  emit(event: OutputEvent): void
}

/** The beginning of an opening tag, as far as its name. */
const BEGUN_NAME = /^<[^/\w]*(?:dsml[^/\w]*)?[a-z]/i
const STRAY_WARNING = "a closing tag without its opening one was left out"
/** A model that writes more closing tags in a row than this does nothing else any more. */
const MAX_STRAY_TAGS = 32

export class ContentParser {
  readonly calls: ParsedCall[] = []
  readonly warnings: string[] = []
  stopString: string | undefined
  /** The block as sampled, once it was closed or the answer ended in it. */
  blockText: string | undefined
  isDone = false
  /** The block's closing tag was read. */
  isClosed = false
  /** Where the first text was emitted: units of the input before it. */
  firstTextAt: number | undefined
  private readonly input = new TextBuffer()
  private readonly code = new CodeSpans()
  private readonly matcher: ContentMatcher
  private readonly cursor = new TextCursor()
  private call: OpenCall | undefined
  private callCount = 0
  private strayTags = 0 // in a row
  private readonly state: ContentState

  constructor(
    private readonly context: ContentContext,
    /** The text before; decides whether the content starts a line. */
    lastUnit = "\n",
  ) {
    const { tools, stopStrings } = context
    this.state = new ContentState(lastUnit)
    this.matcher = new ContentMatcher(tools, stopStrings, this.state, this.code)
  }

  get content(): string {
    return this.state.text
  }

  /** Text after the end of the answer. */
  get rest(): string {
    return this.isDone ? this.input.text : ""
  }

  /** Whether the next text belongs to a call, or stands between calls. */
  get isInCall(): boolean {
    const { block } = this.state
    return this.call !== undefined || (block !== undefined && !this.isDone && !block.hasText)
  }

  push(text: string): void {
    this.input.append(text)
    while (this.advance());
  }

  end(finish: EngineFinish): void {
    if (this.state.isFinal || this.isDone) return
    this.state.isFinal = true
    while (this.advance());
    if (this.isDone) return
    if (this.call !== undefined) this.endInCall(this.call, finish)
    if (this.state.block !== undefined) this.endBlock(this.state.block, finish)
  }

  private advance(): boolean {
    if (this.isDone) return false
    return this.call === undefined ? this.search() : this.readCall(this.call)
  }

  /** @param units of the input that were just taken for it; undefined: it is not the model's */
  private emitText(text: string, units?: number, isSample = false): void {
    const piece = this.content === "" && this.state.followsTag ? text.trimStart() : text
    if (piece === "") return
    if (units !== undefined) this.firstTextAt ??= this.input.total - units
    this.state.append(piece, isSample)
    this.strayTags = 0
    this.context.emit({ type: "text", text: piece })
  }

  /** Emits the text before `end`; a sample before it was text too. */
  private emitUpTo(end: number): void {
    if (end === 0) return
    if (this.state.block !== undefined && this.state.block.undeclared.length > 0)
      this.releaseSample(this.state.block)
    if (this.state.block !== undefined) this.state.block.hasText = true
    const text = this.input.takeText(end)
    if (!this.context.tools.isEmpty) this.code.take(text)
    this.emitText(text, end)
  }

  private search(): boolean {
    const { isFinal, followsTag } = this.state
    const holdsSpace = isFinal ? followsTag : !this.context.tools.isEmpty
    const next = this.cursor.search(this.input.text, this.matcher, { holdsSpace, isFinal })
    if (next.found === undefined) this.emitUpTo(next.text)
    else this.act(next.found, next.at)
    return next.found !== undefined
  }

  private act(hit: ContentHit, at: number): void {
    if ("literal" in hit) {
      this.emitUpTo(at)
      if (this.state.block !== undefined && this.state.block.undeclared.length > 0)
        this.releaseSample(this.state.block)
      this.input.take(hit.literal.length)
      this.stopString = hit.literal
      if (this.state.block !== undefined) this.endBlock(this.state.block, "stop")
      this.isDone = true
      return
    }
    const begin = this.cursor.spaceStart(this.input.text, at)
    this.emitUpTo(begin)
    if (this.state.block === undefined) this.input.taken = ""
    this.state.block ??= newBlock()
    if ("tag" in hit) this.readTag(hit.tag, hit.tag.end - begin, this.state.block)
    else this.readBeginning(hit.beginning, this.state.block)
  }

  /** Something that is no text was taken: what follows starts a line. */
  private leaveTag(): void {
    this.code.startLine()
    this.state.leaveTag()
    this.cursor.reset()
  }

  /** The answer ends in what may have become a tag. */
  private readBeginning(beginning: string, block: CallBlock): void {
    this.input.take(this.input.text.length)
    this.leaveTag()
    if (this.calls.length === 0 || BEGUN_NAME.test(beginning)) block.isBroken = true
  }

  private readTag(tag: Tag, units: number, block: CallBlock): void {
    this.input.take(units)
    this.leaveTag()
    if (!tag.isRegular) block.isIrregular = true
    if (tag.isClosing || tag.name === "unknown") this.readStray(tag, block)
    else if (tag.name === "wrapper") block.isWrapped = true
    else this.openCall(tag, block)
  }

  private readStray(tag: Tag, block: CallBlock): void {
    if (++this.strayTags > MAX_STRAY_TAGS) {
      this.warn("the answer was ended in a row of closing tags")
      this.tellProblems(block)
      this.isDone = true
    } else if (tag.name === "wrapper") this.closeBlock(block)
    else if (!block.isWrapped && this.calls.length === 0 && block.undeclared.length === 0) {
      this.warn(STRAY_WARNING)
      this.endProblems(block)
    }
  }

  private warn(warning: string): void {
    if (!this.warnings.includes(warning)) this.warnings.push(warning)
  }

  private closeBlock(block: CallBlock): void {
    if (this.calls.length > 0) {
      this.isClosed = true
      if (this.context.readsOn) return
      if (!block.hasText && block.problems.length === 0) this.blockText = this.input.taken
      this.tellProblems(block)
      this.isDone = true
      return
    }
    if (block.undeclared.length > 0) return this.releaseSample(block)
    if (block.isWrapped && block.problems.length === 0) block.problems.push(PROBLEMS.noCall)
    if (!block.isWrapped) this.warn(STRAY_WARNING)
    this.endProblems(block)
  }

  private endProblems(block: CallBlock): void {
    this.tellProblems(block)
    this.state.block = undefined
  }

  private openCall(tag: Tag, block: CallBlock): void {
    this.strayTags = 0
    const { tools } = this.context
    const call = openCall(tag, {
      input: this.input,
      tools,
      stream: (name) => this.openStream(name),
    })
    this.call = call
    if (call.name !== undefined) {
      block.problems.push(...block.undeclared.splice(0).map(undeclaredProblem))
      if (block.isIrregular || !block.isWrapped) call.parser.markRepaired()
    }
    if (!tag.isSelfClosing || tag.name === "parameter") return
    call.parser.finish(true)
    this.finishCall(call, block)
  }

  private openStream(name: string): CallStream {
    const { context } = this
    return new CallStream(
      this.callCount++,
      context.newCallId(),
      name,
      context.holdArgumentUnits,
      (event) => context.emit(event),
    )
  }

  private readCall(call: OpenCall): boolean {
    const step = call.parser.step(this.state.isFinal)
    if (step !== "ended") return step === "again"
    if (this.state.block !== undefined) this.finishCall(call, this.state.block)
    return true
  }

  private finishCall({ parser, name, sampledName, problem }: OpenCall, block: CallBlock): void {
    this.call = undefined
    this.leaveTag()
    if (name === undefined) {
      if (problem !== undefined) block.problems.push(problem)
      else if (this.calls.length > 0) block.problems.push(undeclaredProblem(sampledName))
      else block.undeclared.push(sampledName)
      return
    }
    if (parser.result !== undefined) this.calls.push(parser.result)
    if (parser.hasNamelessArgument) block.problems.push(PROBLEMS.namelessArgument)
    const stray = parser.stray.trim()
    if (stray === "") return
    block.hasText = true
    this.emitText(`\n${stray}`, 0)
    this.leaveTag()
  }

  /** Calls of undeclared tools alone are a sample: text as it was written. */
  private releaseSample(block: CallBlock): void {
    for (const name of block.undeclared.splice(0))
      this.warn(`a call was left as text: ${undeclaredProblem(name)}`)
    this.state.block = undefined
    this.state.followsTag = false
    this.emitText(this.input.taken, 0, true)
    this.input.taken = ""
    if (block.hasText && block.problems.length === 0) block.problems.push(PROBLEMS.noCall)
    this.endProblems(block)
  }

  /** Tells the client and the log of calls that could not be read. */
  private tellProblems(block: CallBlock): void {
    for (const problem of new Set(block.problems.splice(0))) {
      this.warn(`a tool call could not be read: ${problem}`)
      block.hasText = true
      this.emitText(`${this.content === "" ? "" : "\n\n"}${problemNote(problem)}`)
    }
  }

  private endInCall(call: OpenCall, finish: EngineFinish): void {
    const { block } = this.state
    if (block === undefined) return
    if (call.name === undefined) this.finishCall(call, block)
    else if (finish === "cut") this.call = undefined
    else if (call.parser.hasArguments) {
      call.parser.finish(true)
      this.finishCall(call, block)
    } else block.isBroken = true
    this.call = undefined
  }

  private endBlock(block: CallBlock, finish: EngineFinish): void {
    if (block.undeclared.length > 0) {
      this.input.take(this.input.text.length)
      return this.releaseSample(block)
    }
    if (finish === "stop") {
      if (block.isBroken) block.problems.push(PROBLEMS.incomplete)
      else if (this.calls.length === 0 && block.isWrapped && block.problems.length === 0)
        block.problems.push(PROBLEMS.noCall)
      const isWhole = this.calls.length > 0 && !block.hasText && block.problems.length === 0
      if (isWhole) this.blockText = this.input.taken + this.input.text
    }
    this.tellProblems(block)
  }
}
