// Whether an answer is a turn of its own or goes on in the last message. Each interface has its own
// default; the fields of vLLM decide in all of them.
import type { Message } from "../template/conversation.ts"
import type { PromptEnding } from "../template/render-options.ts"
import { type Fields, optionalBooleanAt } from "./fields.ts"
import { RequestError } from "./request-error.ts"

/** The part of a body that asks to go on in the last message, and how binding that is. */
export interface Continuation {
  /** The field that asks for it, as in `messages[3].prefix`; undefined: a default of the API. */
  readonly field?: string
}

/** A message with calls waits for results: there is nothing in it to go on with. */
const canContinue = (message: Message | undefined): boolean =>
  message?.role === "assistant" && (message.toolCalls?.length ?? 0) === 0

const refuseOther = (field: string, message: Message | undefined): RequestError => {
  const last =
    message?.role === "assistant"
      ? "the last message makes tool calls; send their results, and a new turn answers them"
      : `the last message has the role ${JSON.stringify(message?.role ?? "none")}; put the ` +
        `beginning of the answer into an assistant message at the end`
  return new RequestError(`${field}: ${last}`, field)
}

/**
 * Reads `continue_final_message` and `add_generation_prompt`.
 * @param messages as read; the last one decides
 * @param implied set where the body asks to go on by other means
 * @throws RequestError where the two exclude each other, or the last message cannot be continued
 */
export const promptEnding = (
  fields: Fields,
  messages: readonly Message[],
  implied?: Continuation,
): Required<PromptEnding> => {
  const asked = optionalBooleanAt("continue_final_message", fields.continue_final_message)
  const opened = optionalBooleanAt("add_generation_prompt", fields.add_generation_prompt)
  const field = asked === true ? "continue_final_message" : implied?.field
  const last = messages.at(-1)
  if (field === undefined) {
    const continueFinal = implied !== undefined && asked !== false && opened !== true
    return {
      continueFinal: continueFinal && canContinue(last),
      addGenerationPrompt: opened !== false,
    }
  }
  if (opened === true)
    throw new RequestError(
      `${field} and add_generation_prompt are both true; an answer goes on in the last message ` +
        `or is a new turn, not both`,
      field,
    )
  if (!canContinue(last)) throw refuseOther(field, last)
  return { continueFinal: true, addGenerationPrompt: false }
}
