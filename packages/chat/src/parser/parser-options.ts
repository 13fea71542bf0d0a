import type { CallableTool } from "./declared-tools.ts"
import type { ParsedCall } from "./events.ts"

/** Why the engine stopped feeding: cut means by the token limit, the context limit or a cancel. */
export type EngineFinish = "stop" | "cut"

export interface OutputParserOptions {
  /** The generation prompt ended with `<think>`. */
  readonly thinking: boolean
  /** Declared tools. Without any, nothing is read as a call. */
  readonly tools?: readonly CallableTool[]
  /** Cut the answer before the earliest of these; looked for in content only. */
  readonly stopStrings?: readonly string[]
  /**
   * Read a call inside thinking that was never closed as reasoning (default: it closes the
   * thinking).
   */
  readonly strictTools?: boolean
  /** Id of the next call; default `call_` and 128 random bits. */
  readonly newCallId?: () => string
  /**
   * Characters of argument text beyond which a call is delivered piece by piece before it is
   * complete (default 0: from its first argument on). Infinity: no call is ever delivered in part.
   */
  readonly holdArgumentUnits?: number
}

export interface OutputResult {
  readonly reasoning: string
  readonly content: string
  readonly calls: readonly ParsedCall[]
  /** length: the engine was cut off and no call block or stop string had ended the answer. */
  readonly finish: "stop" | "length" | "tool_calls"
  readonly stopString: string | undefined
  /**
   * The call block as sampled, from the white space before it to its closer; undefined without a
   * complete block.
   */
  readonly block: string | undefined
  /** Sentences about what was left out or could not be read; for a log. */
  readonly warnings: readonly string[]
}
