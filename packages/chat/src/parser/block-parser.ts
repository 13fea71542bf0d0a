// Reads the inside of a call block piece by piece: invokes, parameters, values. It repairs
// spellings that leave no doubt.
import { type BlockParameter, minify, valueOf } from "./block-parameter.ts"
import type { CallStream } from "./call-stream.ts"
import { decodeEntities, partialEntityUnits } from "./entities.ts"
import type { ParsedCall } from "./events.ts"
import { type Family, PARTIAL, type Tag, matchTag, matchTagInValue } from "./tags.ts"

interface BlockContext {
  /** Whether the request declared a tool of this name. */
  isDeclared(name: string): boolean
  /** A stream for the next call of the turn. */
  openCall(name: string): CallStream
}

const isBlank = (text: string): boolean => text.trim() === ""

/** Index of the first character that is not white space. */
const skipSpace = (text: string, index: number): number => {
  while (index < text.length && isBlank(text.charAt(index))) index++
  return index
}

export class BlockParser {
  state: "open" | "closed" | "failed" = "open"
  readonly calls: ParsedCall[] = []
  /** Names of all invokes seen, delivered or not. */
  readonly names: string[] = []
  /** Text after the closer. */
  rest = ""
  private raw = "" // everything consumed or buffered since the last complete invoke
  private consumedText = "" // everything consumed, up to and including the last complete invoke
  private buffer = ""
  private scanned = 0 // in a value: no tag begins before this index of the buffer
  private call: CallStream | undefined
  private readonly parameters: BlockParameter[] = []
  private isIrregular: boolean

  constructor(
    private readonly family: Family,
    isRegular: boolean,
    private readonly context: BlockContext,
  ) {
    this.isIrregular = !isRegular
  }

  /** Block text that no delivered call stands for. */
  get undelivered(): string {
    return this.raw
  }

  /** The block's text up to and including its closer. */
  get text(): string {
    return this.consumedText + this.raw
  }

  /** Outside every invoke, after at least one: only the closer, or the end of it, is missing. */
  get lacksOnlyCloser(): boolean {
    if (this.state !== "open" || this.call !== undefined || this.calls.length === 0) return false
    // no other tag is awaited here
    return isBlank(this.buffer) || this.buffer.trimStart().startsWith("</")
  }

  /** Whether part of a call that is not complete is out already. */
  get hasHalfDelivered(): boolean {
    return this.call?.hasBegun === true
  }

  feed(text: string): void {
    if (this.state === "closed") {
      this.rest += text
      return
    }
    this.buffer += text
    this.raw += text
    while (this.state === "open" && this.step());
  }

  /** Consumes one tag or one stretch of a value; false when more text is needed. */
  private step(): boolean {
    const parameter = this.parameters.at(-1)
    if (parameter === undefined || parameter.kind === "object") return this.stepBetween()
    return this.stepValue(parameter)
  }

  private take(end: number): string {
    const taken = this.buffer.slice(0, end)
    this.buffer = this.buffer.slice(end)
    this.scanned = 0
    return taken
  }

  private stepBetween(): boolean {
    const begin = skipSpace(this.buffer, 0)
    if (begin === this.buffer.length) return false
    const tag = matchTag(this.buffer, begin, this.family)
    if (tag === PARTIAL) return false
    if (tag === undefined) return this.fail()
    this.take(tag.end)
    return this.structure(tag)
  }

  private fail(): boolean {
    this.state = "failed"
    return false
  }

  /**
   * Acts on a tag outside every value. A missing closing tag is supplied when an outer one, or an
   * opener, follows.
   */
  private structure(tag: Tag): boolean {
    const isRegular = tag.isRegular && tag.family === this.family
    if (!isRegular && !this.allowsIrregular()) return this.fail()
    if (tag.name === "parameter")
      return tag.isClosing ? this.closeObject() : this.openParameter(tag)
    if (tag.name === "invoke") return tag.isClosing ? this.closeInvoke(false) : this.openInvoke(tag)
    if (!tag.isClosing) return this.fail()
    if (this.call !== undefined && !this.closeInvoke(true)) return false
    if (this.calls.length === 0) return this.fail()
    this.state = "closed"
    this.rest = this.buffer
    this.raw = this.raw.slice(0, this.raw.length - this.rest.length)
    return false
  }

  /** An irregular tag is accepted in calls of declared tools only. */
  private allowsIrregular(): boolean {
    this.isIrregular = true
    if (this.call === undefined) return true
    this.call.repaired = true
    return this.context.isDeclared(this.call.name)
  }

  private openInvoke(tag: Tag): boolean {
    if (this.call !== undefined && !this.closeInvoke(true)) return false
    const name = decodeEntities(tag.attributes.get("name") ?? "")
    if (name === "") return this.fail()
    this.names.push(name)
    if (this.isIrregular && !this.context.isDeclared(name)) return this.fail()
    this.call = this.context.openCall(name)
    this.call.repaired = this.isIrregular
    return true
  }

  private closeInvoke(isImplicit: boolean): boolean {
    if (this.call === undefined) return this.fail()
    while (this.parameters.length > 0) {
      this.call.repaired = true
      this.closeParameter()
    }
    if (isImplicit) this.call.repaired = true
    this.calls.push(this.call.finish())
    this.call = undefined
    const consumed = this.raw.length - this.buffer.length
    this.consumedText += this.raw.slice(0, consumed)
    this.raw = this.raw.slice(consumed)
    return true
  }

  private openParameter(tag: Tag): boolean {
    const key = tag.attributes.get("name")
    if (this.call === undefined || key === undefined) return this.fail()
    const mark = tag.attributes.get("string")
    const kind = mark === undefined ? "unknown" : mark === "false" ? "json" : "string"
    this.parameters.push({
      key: decodeEntities(key),
      kind,
      family: tag.family,
      text: "",
      children: new Map(),
    })
    if (kind === "string" && this.parameters.length === 1)
      this.call.beginString(decodeEntities(key))
    return true
  }

  private closeObject(): boolean {
    if (this.parameters.length === 0) return this.fail()
    this.closeParameter()
    return true
  }

  /** Ends the innermost open parameter and hands its value to its parent, or to the call. */
  private closeParameter(): void {
    const parameter = this.parameters.pop()
    if (parameter === undefined || this.call === undefined) return
    const parent = this.parameters.at(-1)
    if (parameter.kind === "string" && parent === undefined) return this.call.endString()
    const { json, isRepaired } = valueOf(parameter)
    if (isRepaired) this.call.repaired = true
    if (parent === undefined) this.call.addJson(parameter.key, json)
    else parent.children.set(parameter.key, minify(json))
  }

  /**
   * Without a `string` attribute the value is an object when a parameter is its first thing, else a
   * string.
   */
  private decideKind(parameter: BlockParameter): boolean {
    const begin = skipSpace(this.buffer, 0)
    if (begin === this.buffer.length) return false
    const tag = matchTag(this.buffer, begin, this.family)
    if (tag === PARTIAL) return false
    const isObject = tag !== undefined && tag.name === "parameter" && !tag.isClosing
    parameter.kind = isObject ? "object" : "string"
    if (!isObject && this.parameters.length === 1) this.call?.beginString(parameter.key)
    return true
  }

  private stepValue(parameter: BlockParameter): boolean {
    if (parameter.kind === "unknown") return this.decideKind(parameter)
    const { buffer } = this
    for (
      let index = buffer.indexOf("<", this.scanned);
      index >= 0;
      index = buffer.indexOf("<", index + 1)
    ) {
      const tag = matchTagInValue(buffer, index, parameter.family)
      if (tag === PARTIAL) {
        this.extend(parameter, index, index)
        return false
      }
      if (tag === undefined || !this.endsValue(tag, index)) continue
      this.endValue(parameter, tag, index)
      return this.state === "open"
    }
    this.extend(parameter, buffer.length, buffer.length)
    return false
  }

  /**
   * Its own closing tag ends a value anywhere; any other tag of the block only at the start of a
   * line.
   */
  private endsValue(tag: Tag, index: number): boolean {
    if (tag.name === "parameter" && tag.isClosing) return true
    // extend() never lets go of a line break at the end
    return index > 0 && this.buffer[index - 1] === "\n"
  }

  private endValue(parameter: BlockParameter, tag: Tag, index: number): void {
    const isOwn = tag.name === "parameter" && tag.isClosing
    // The line break before a tag that was not the value's own stood for the missing one.
    const end = isOwn ? index : index - 1
    this.append(parameter, end)
    this.take(tag.end - end)
    if (!isOwn && this.call !== undefined) this.call.repaired = true
    this.closeParameter()
    if (!isOwn) this.structure(tag)
  }

  /**
   * Takes over value text that can no longer change, keeping a line break, an entity or a pair that
   * may.
   */
  private extend(parameter: BlockParameter, limit: number, scanned: number): void {
    let end = limit
    if (end > 0 && this.buffer[end - 1] === "\n") end--
    if (parameter.kind === "string")
      end -= partialEntityUnits(this.buffer.slice(Math.max(0, end - 6), end))
    if (end > 0 && (this.buffer.charCodeAt(end - 1) & 0xfc00) === 0xd800) end--
    this.append(parameter, end)
    this.scanned = scanned - end
  }

  private append(parameter: BlockParameter, end: number): void {
    const text = this.take(end)
    if (parameter.kind === "string" && this.parameters.length === 1)
      this.call?.stringPiece(decodeEntities(text))
    else parameter.text += text
  }
}
