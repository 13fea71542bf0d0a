import type { Effort, EffortTable } from "./effort.ts"
import type { ReplayOrigin, ToolReplay } from "./replay.ts"
import type { Profile } from "./tools-block.ts"

/** The way in which a prompt ends, and with it the place where the answer begins. */
export interface PromptEnding {
  /**
   * The last message is an assistant's and the answer goes on in it: its end is left out. It goes
   * on in the content; in the reasoning when thinking and no content was written yet. Default:
   * false, the answer is a turn of its own.
   */
  readonly continueFinal?: boolean
  /** false: nothing follows the last message, so that the model writes on in it. Default true. */
  readonly addGenerationPrompt?: boolean
}

export interface RenderOptions extends PromptEnding {
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
  /** Sampled blocks to emit in place of rendered calls. */
  readonly replay?: ToolReplay
  /** Told, for every assistant turn with calls, where its block came from. */
  readonly onToolTurn?: (origin: ReplayOrigin | "canonical") => void
}
