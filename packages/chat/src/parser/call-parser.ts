// Reads the inside of one call piece by piece: parameters and values. It supplies what models
// forget where the text that follows leaves no doubt.
import {
  type BlockParameter,
  membersOf,
  minify,
  nameIn,
  openedParameter,
  valueOf,
} from "./block-parameter.ts"
import { isWrapperName } from "./wrapper-name.ts"
import type { CallStream } from "./call-stream.ts"
import { partialEscapeUnits, unescapeClosingTag } from "./closing-tag-escape.ts"
import type { ParsedCall } from "./events.ts"
import { spaceUnits } from "./lookahead.ts"
import { isMarkedTag, matchTag, type Tag } from "./tags.ts"
import type { TextBuffer } from "./text-buffer.ts"
import { PARTIAL } from "./text-search.ts"
import { findValueEnd } from "./value-end.ts"

interface CallContext {
  /** The tag that opened the call is a plain one. */
  readonly isPlain: boolean
  /** Names of the arguments in the tool's schema; empty when nothing is known of them. */
  readonly properties: ReadonlySet<string>
  isDeclared(name: string): boolean
  /** Whether the name means this call's tool. */
  isSameTool(name: string): boolean
}

type Step = "again" | "waiting" | "ended"

export class CallParser {
  /** The complete call, once `step` returned "ended". */
  result: ParsedCall | undefined
  /** Text between the parameters that belongs to none of them. */
  stray = ""
  /** An argument without a name was left out. */
  hasNamelessArgument = false
  private scanned = 0 // in a value: no tag begins before this index of the buffer
  private readonly parameters: BlockParameter[] = []
  /** The only parameter so far, which may hold all arguments. */
  private wrapper: { key: string; json: string } | undefined

  constructor(
    private readonly input: TextBuffer,
    private readonly stream: CallStream,
    private readonly context: CallContext,
  ) {}

  /** Whether an argument has been begun, or something that may stand for all of them. */
  get hasArguments(): boolean {
    const hasOpen = this.parameters.some(({ key }) => key !== undefined)
    return (
      this.stream.hasArguments ||
      this.wrapper !== undefined ||
      hasOpen ||
      this.strayMembers !== undefined
    )
  }

  /** The call was not spelled as trained. */
  markRepaired(): void {
    this.stream.repaired = true
  }

  private get isEmpty(): boolean {
    return !this.hasArguments && this.parameters.length === 0 && this.stray.trim() === ""
  }

  /** Consumes one tag or one stretch of a value. */
  step(isFinal: boolean): Step {
    const parameter = this.parameters.at(-1)
    if (parameter === undefined || parameter.kind === "object") return this.stepBetween()
    return this.stepValue(parameter, isFinal)
  }

  /** Ends the call where the answer ends: everything open is closed. */
  finish(isImplied: boolean): void {
    if (isImplied) this.stream.repaired = true
    while (this.parameters.length > 0) {
      this.stream.repaired = true
      this.closeParameter()
    }
    this.resolveWrapper(true)
    this.adoptStray()
    this.result = this.stream.finish()
  }

  private stepBetween(): Step {
    const space = this.input.take(spaceUnits(this.input.text))
    if (this.stray !== "") this.stray += space
    const { text } = this.input
    if (text === "") return "waiting"
    if (text[0] !== "<") {
      const end = text.indexOf("<")
      this.stray += this.input.take(end < 0 ? text.length : end)
      return "again"
    }
    const tag = matchTag(text, 0)
    if (tag === PARTIAL) return "waiting"
    if (tag === undefined || this.isForeign(tag)) {
      this.stray += this.input.take(1)
      return "again"
    }
    return this.structure(tag)
  }

  /** In a marked call plain tags are text, but for those of its own inside. */
  private isForeign(tag: Tag): boolean {
    if (this.context.isPlain || isMarkedTag(tag)) return false
    return tag.name === "wrapper" ? !tag.isClosing : tag.name === "invoke" && !tag.isClosing
  }

  /** Acts on a tag outside every value. A tag that begins something else is left in the buffer. */
  private structure(tag: Tag): Step {
    const name = nameIn(tag)
    if (!tag.isRegular) this.stream.repaired = true
    const opensCall = tag.name === "invoke" && !tag.isClosing && name !== undefined
    if (opensCall && this.isEmpty && this.context.isSameTool(name)) {
      // the same opening tag again
      this.input.take(tag.end)
      this.stream.repaired = true
      return "again"
    }
    const closesBlock = tag.name === "wrapper" && tag.isClosing
    if (opensCall || closesBlock) {
      this.finish(true)
      return "ended"
    }
    this.input.take(tag.end)
    if (tag.name === "parameter") {
      if (!tag.isClosing) this.openParameter(tag)
      else if (this.parameters.length > 0) this.closeParameter()
      else this.stream.repaired = true
      return "again"
    }
    if (tag.name !== "invoke") {
      this.stream.repaired = true
      return "again"
    }
    this.finish(!tag.isClosing)
    return "ended"
  }

  /** Begins a parameter; one without a name is read and left out. */
  openParameter(tag: Tag): void {
    const parameter = openedParameter(tag, this.context.properties)
    if (parameter.key === undefined) this.hasNamelessArgument = this.stream.repaired = true
    const mark = tag.attributes.get("string")
    if (mark !== undefined && mark !== "true" && mark !== "false") this.stream.repaired = true
    this.resolveWrapper(false)
    this.parameters.push(parameter)
    this.scanned = 0
    if (tag.isSelfClosing) {
      if (parameter.kind === "unknown") parameter.kind = "string"
      this.beginString(parameter)
      return this.closeParameter()
    }
    this.beginString(parameter)
  }

  /** Whether this string goes to the stream as it is made. */
  private streams({ key, kind }: BlockParameter): boolean {
    if (kind !== "string" || key === undefined) return false
    return this.parameters.length === 1 && !this.mayWrap(key)
  }

  private beginString(parameter: BlockParameter): void {
    if (this.streams(parameter)) this.stream.beginString(parameter.key ?? "")
  }

  private mayWrap(key: string): boolean {
    const isFirst = !this.stream.hasArguments && this.wrapper === undefined
    return isFirst && isWrapperName(key, this.context.properties)
  }

  /** Ends the innermost open parameter and hands its value to its parent, or to the call. */
  private closeParameter(): void {
    const parameter = this.parameters.at(-1)
    if (parameter === undefined) return
    const isStreamed = this.streams(parameter)
    const { key } = parameter
    const isWrapper = this.parameters.length === 1 && key !== undefined && this.mayWrap(key)
    this.parameters.pop()
    this.scanned = 0
    if (isStreamed) return this.stream.endString()
    const { json, isRepaired } = valueOf(parameter)
    if (isRepaired) this.stream.repaired = true
    if (key === undefined) return
    const parent = this.parameters.at(-1)
    if (parent !== undefined) parent.children.set(key, minify(json))
    else if (isWrapper) this.wrapper = { key, json }
    else this.stream.addJson(key, json)
  }

  /** The parameter that may hold all arguments does so if it is the only one. */
  private resolveWrapper(isEnd: boolean): void {
    if (this.wrapper === undefined) return
    const { key, json } = this.wrapper
    this.wrapper = undefined
    const isString = json.startsWith('"')
    const members = isEnd ? membersOf(isString ? (JSON.parse(json) as string) : json) : undefined
    if (members === undefined) return this.stream.addJson(key, json)
    this.stream.repaired = true
    for (const [member, value] of members) this.stream.addJson(member, value)
  }

  private get strayMembers(): ReadonlyMap<string, string> | undefined {
    return this.stray.includes("{") ? membersOf(this.stray) : undefined
  }

  /** Arguments that were written as one JSON object in the place of parameters. */
  private adoptStray(): void {
    const members = this.stream.hasArguments ? undefined : this.strayMembers
    if (members === undefined) return
    this.stray = ""
    this.stream.repaired = true
    for (const [key, value] of members) this.stream.addJson(key, value)
  }

  /** Without a `string` attribute the value is an object when a parameter is its first thing. */
  private decideKind(parameter: BlockParameter, isFinal: boolean): Step {
    const { text } = this.input
    const begin = spaceUnits(text)
    if (begin === text.length) return "waiting"
    const tag = text[begin] === "<" ? matchTag(text, begin) : undefined
    if (tag === PARTIAL) return "waiting"
    const isObject =
      tag !== undefined &&
      tag.name === "parameter" &&
      !tag.isClosing &&
      nameIn(tag) !== undefined &&
      (this.context.isPlain || isMarkedTag(tag))
    if (isObject) parameter.kind = "object"
    else if (parameter.kind === "unknown") {
      parameter.kind = "string"
      this.beginString(parameter)
    }
    return isObject || parameter.kind === "string" ? "again" : this.stepText(parameter, isFinal)
  }

  private stepValue(parameter: BlockParameter, isFinal: boolean): Step {
    const isUndecided =
      parameter.kind === "unknown" || (parameter.kind === "json" && parameter.text === "")
    if (!isUndecided) return this.stepText(parameter, isFinal)
    const step = this.decideKind(parameter, isFinal)
    if (step !== "waiting" || !isFinal) return step
    if (parameter.kind === "unknown") parameter.kind = "string"
    this.beginString(parameter)
    return this.stepText(parameter, isFinal)
  }

  private stepText(parameter: BlockParameter, isFinal: boolean): Step {
    const { text } = this.input
    const end = findValueEnd(text, this.scanned, parameter.marker, this.context, isFinal)
    if (end === undefined || end.kind === "waiting") {
      this.extend(parameter, end?.at ?? text.length, isFinal)
      return "waiting"
    }
    this.append(parameter, end.at)
    const isOwn = end.kind === "closed" && end.isOwn
    this.input.take((end.kind === "closed" ? end.end : end.tagAt) - end.at)
    if (!isOwn) this.stream.repaired = true
    this.closeParameter()
    return "again"
  }

  /**
   * Takes over value text that can no longer change, keeping a line break, an escape or a pair that
   * may.
   */
  private extend(parameter: BlockParameter, limit: number, isFinal: boolean): void {
    const { text } = this.input
    let end = limit
    if (!isFinal) {
      if (end > 0 && text[end - 1] === "\n") end--
      end -= partialEscapeUnits(text, end)
      if (end > 0 && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end--
    }
    this.append(parameter, end)
    this.scanned = limit - end
  }

  private append(parameter: BlockParameter, end: number): void {
    const text = this.input.take(end)
    if (this.streams(parameter)) this.stream.stringPiece(unescapeClosingTag(text))
    else parameter.text += text
  }
}
