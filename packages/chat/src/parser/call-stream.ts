// Delivers one call. Its arguments are held until it is complete, so that a call which never
// completes is not delivered in half. Only a long call begins to stream before its end.
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
    this.members.set(key, member)
    if (this.isStarted) this.args(this.memberHead(key) + member.sampled)
    else this.grow(key.length + member.sampled.length)
  }

  beginString(key: string): void {
    this.openString = { key, text: "" }
    if (this.isStarted) this.args(`${this.memberHead(key)}"`)
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
    this.members.set(key, { sampled: json, minified: json })
  }

  /** Delivers what was held, and the end. */
  finish(): ParsedCall {
    if (!this.isStarted) this.start()
    this.args("}")
    const call = { id: this.id, name: this.name, arguments: this.streamed }
    this.emit({ type: "tool-call-end", index: this.index, call })
    const members = Array.from(
      this.members,
      ([key, { minified }]) => `${JSON.stringify(key)}: ${minified}`,
    )
    return {
      id: this.id,
      name: this.name,
      arguments: `{${members.join(", ")}}`,
      repaired: this.repaired,
    }
  }
}
