export type OutputEvent =
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "content"; readonly text: string }
  | {
      readonly type: "call-start"
      readonly index: number
      readonly id: string
      readonly name: string
    }
  /**
   * A piece of the arguments' JSON: never half a character or half an escape; all pieces of a call
   * are one object.
   */
  | { readonly type: "call-args"; readonly index: number; readonly text: string }
  | { readonly type: "call-end"; readonly index: number }
  /** The block is closed: nothing the model writes after it counts. */
  | { readonly type: "block-end" }

export interface ParsedCall {
  readonly id: string
  readonly name: string
  /** JSON text of an object, keys in sampled order. */
  readonly arguments: string
  /** The sampled text was not exactly what the syntax asks for. */
  readonly repaired: boolean
}
