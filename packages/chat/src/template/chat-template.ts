// A conversation to the exact text the weights were trained on, as segments of template and foreign
// text.
import type { Segment } from "@ds4/tokenizer"
import { ASSISTANT, BOS, THINK_OPEN } from "@ds4/tokenizer/special-tokens"
import { renderCompat } from "./profile-compat.ts"
import { renderReference } from "./profile-reference.ts"
import type { Conversation } from "./conversation.ts"
import { EFFORT_TABLES } from "./effort.ts"
import type { RenderOptions } from "./render-options.ts"
import { SegmentWriter } from "./segment-writer.ts"
import { TurnWriter } from "./turn-writer.ts"

/** The prompt of a conversation. Concatenated, the segments are the rendered text. */
export const renderChat = (conversation: Conversation, options: RenderOptions): Segment[] => {
  const writer = new SegmentWriter()
  const { profile = "reference", effortTable = EFFORT_TABLES.original } = options
  writer.control(BOS)
  if (options.thinking)
    writer.control(effortTable.prefixes[options.effort ?? effortTable.defaultEffort])
  const turns = new TurnWriter(writer, profile, options)
  if (profile === "reference") renderReference(conversation, turns)
  else renderCompat(conversation, turns)
  return writer.finish()
}

/**
 * Whether the answer to a rendered prompt begins inside reasoning.
 * @param isContinued the prompt ends in a partial answer: its text follows the opening
 */
export const startsInThinking = (segments: readonly Segment[], isContinued = false): boolean => {
  const last = segments.at(-1)
  const opening = isContinued && last?.control === false ? segments.at(-2) : last
  return opening?.control === true && opening.text.endsWith(ASSISTANT + THINK_OPEN)
}
