// Delivers one call. It begins to stream with its first argument, so that a call without any is
// told from one that was cut off before them.
import { tryParseJsonNode, writeJsonNode } from "../json/json-node.ts"
import type { OutputEvent, ParsedCall } from "./events.ts"

interface Member {
  /** As written into a stream. */
  readonly sampled: string
  readonly minified: string
}

const escapeBody = (text: string): string => JSON.stringify(text).slice(1, -1)

export class CallStream {
  private readonly members = new Map<string, Member>()
  private openString: { key: string; text: string } | undefined
  private heldUnits = 0
  private streamed = "" // all pieces of the arguments so far
  private isStarted = false
  private hasStreamedMember = false
  private hasRepeatedKey = false
  repaired = false

  /**
   * @param holdUnits characters of argument text beyond which the call streams before it is
   * complete
   */
  constructor(
    private readonly index: number,
    private readonly id: string,
    readonly name: string,
    private readonly holdUnits: number,
    private readonly emit: (event: OutputEvent) => void,
  ) {}

  /** Whether part of this call is out already and cannot be taken back. */
  get hasBegun(): boolean {
    return this.isStarted
  }

  /** Whether an argument has been begun. */
  get hasArguments(): boolean {
    return this.members.size > 0 || this.openString !== undefined
  }

  private args(text: string): void {
    if (text === "") return
    this.streamed += text
    this.emit({ type: "tool-call-arguments", index: this.index, text })
  }

  private memberHead(key: string): string {
    const comma = this.hasStreamedMember ? "," : ""
    this.hasStreamedMember = true
    return `${comma}${JSON.stringify(key)}:`
  }

  private start(): void {
    this.isStarted = true
    this.emit({ type: "tool-call-start", index: this.index, id: this.id, name: this.name })
    this.args("{")
    for (const [key, { sampled }] of this.members) this.args(this.memberHead(key) + sampled)
    if (this.openString !== undefined) {
      this.args(`${this.memberHead(this.openString.key)}"`)
      this.args(escapeBody(this.openString.text))
    }
  }

  private grow(units: number): void {
    this.heldUnits += units
    if (!this.isStarted && this.heldUnits > this.holdUnits) this.start()
  }

  /** A complete value that is not a string: JSON text as sampled. */
  addJson(key: string, json: string): void {
    const node = tryParseJsonNode(json)
    this.add(key, {
      sampled: json,
      minified: node === undefined ? json : writeJsonNode(node, "minified"),
    })
  }

  private add(key: string, member: Member): void {
    this.setMember(key, member)
    if (this.isStarted) this.args(this.memberHead(key) + member.sampled)
    else this.grow(key.length + 1 + member.sampled.length)
  }

  /** The last value of a repeated key counts. */
  private setMember(key: string, member: Member): void {
    if (this.members.has(key)) this.repaired = this.hasRepeatedKey = true
    this.members.set(key, member)
  }

  beginString(key: string): void {
    this.openString = { key, text: "" }
    if (this.isStarted) this.args(`${this.memberHead(key)}"`)
    else this.grow(key.length + 1)
  }

  /** @param piece decoded text that splits no character */
  stringPiece(piece: string): void {
    if (this.openString === undefined || piece === "") return
    if (this.isStarted) this.args(escapeBody(piece))
    this.openString.text += piece
    if (!this.isStarted) this.grow(piece.length)
  }

  endString(): void {
    if (this.openString === undefined) return
    const { key, text } = this.openString
    this.openString = undefined
    const json = JSON.stringify(text)
    if (this.isStarted) this.args('"')
    this.setMember(key, { sampled: json, minified: json })
  }

  /** Delivers what was held, and the end. */
  finish(): ParsedCall {
    if (!this.isStarted) this.start()
    this.args("}")
    const { id, name, repaired, index } = this
    this.emit({
      type: "tool-call-end",
      index,
      call: { id, name, arguments: this.wholeArguments() },
    })
    const members = Array.from(
      this.members,
      ([key, { minified }]) => `${JSON.stringify(key)}: ${minified}`,
    )
    return { id, name, arguments: `{${members.join(", ")}}`, repaired }
  }

  /** The pieces as one text, with every key once. */
  private wholeArguments(): string {
    if (!this.hasRepeatedKey) return this.streamed
    const members = Array.from(
      this.members,
      ([key, { sampled }]) => `${JSON.stringify(key)}:${sampled}`,
    )
    return `{${members.join(",")}}`
  }
}
