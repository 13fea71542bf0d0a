import type { ToolCall } from "../template/conversation.ts"

/** A part of an answer that has become certain. */
export type OutputEvent =
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "tool-call-start"
      /** Position of the call among those of the answer, from 0. */
      readonly index: number
      readonly id: string
      readonly name: string
    }
  /**
   * A piece of the arguments' JSON. It never ends inside a character or an escape; all pieces of a
   * call form one object.
   */
  | { readonly type: "tool-call-arguments"; readonly index: number; readonly text: string }
  /** The call is complete; its arguments are all of its pieces. */
  | { readonly type: "tool-call-end"; readonly index: number; readonly call: ToolCall }

/** The part of an answer that its next text belongs to. */
export type AnswerPart = "reasoning" | "text" | "call"

export interface ParsedCall {
  readonly id: string
  readonly name: string
  /** JSON text of an object, keys in sampled order. */
  readonly arguments: string
  /** The sampled text was not exactly what the syntax asks for. */
  readonly repaired: boolean
}
