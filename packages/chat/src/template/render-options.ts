import type { Effort, EffortTable } from "./effort.ts"
import type { ReplayOrigin, ToolReplay } from "./replay.ts"
import type { Profile } from "./tools-block.ts"

/** Part of a partial answer that generation goes on in: its reasoning is still open, or over. */
export type ContinuedPart = "reasoning" | "content"

export interface RenderOptions {
  /** The generation prompt ends with `<think>`; otherwise with `</think>`. */
  readonly thinking: boolean
  /** Counts only when thinking; default: the table's own. */
  readonly effort?: Effort
  /** A property of the checkpoint; default `original`. */
  readonly effortTable?: EffortTable
  /**
   * `reference` (default) is what the vendor's encoder produces, `compat` what the May 2026 ds4
   * server does.
   */
  readonly profile?: Profile
  /**
   * The last message is an assistant's and the answer goes on inside this part of it: the end of
   * the part is left out.
   */
  readonly continueFinal?: ContinuedPart
  /** Sampled blocks to emit in place of rendered calls. */
  readonly replay?: ToolReplay
  /** Told, for every assistant turn with calls, where its block came from. */
  readonly onToolTurn?: (origin: ReplayOrigin | "canonical") => void
}
