// One interface over a local chat and a remote server: chat and run know nothing else.
import type {
  AnswerEvent,
  AnswerOptions,
  AnswerRequest,
  Conversation,
  ThinkingLevel,
} from "@ds4/chat"

/** Settings of the answers of a session: all of a request but what is asked. */
export type AnswerSettings = Pick<
  AnswerOptions,
  "sampling" | "maxTokens" | "stopStrings" | "reasoningBudget" | "keepReasoning" | "loopGuard"
> & { readonly thinking: ThinkingLevel }

/** A conversation to answer, with the place where the answer begins. */
type AskedConversation = Conversation & Pick<AnswerRequest, "continueFinal" | "addGenerationPrompt">

/** A conversation to answer, or a prompt that is already rendered. */
export type Question =
  | { readonly type: "conversation"; readonly conversation: AskedConversation }
  | { readonly type: "rendered"; readonly text: string }

export interface BackendDescription {
  readonly model: string
  readonly contextTokens: number | undefined
  /** One line: where it runs and with what. */
  readonly where: string
}

export interface PromptView {
  readonly text: string
  readonly ids: readonly number[]
}

/** Something that answers conversations. */
export interface Backend {
  readonly description: BackendDescription
  /** Streams one answer; throws before the first event when the request is refused. */
  answer(request: AnswerRequest): AsyncIterable<AnswerEvent>
  /** Answers a prompt that is already rendered; control strings in it count. */
  complete(text: string, options: AnswerOptions): AsyncIterable<AnswerEvent>
  /** The prompt a conversation becomes; undefined when only the server knows. */
  prompt(conversation: Conversation, thinking: ThinkingLevel): Promise<PromptView | undefined>
  close(): Promise<void>
}

/** Asks a backend, whichever kind of question it is. */
export function ask(
  backend: Backend,
  question: Question,
  { thinking, ...options }: AnswerSettings & Pick<AnswerOptions, "signal">,
): AsyncIterable<AnswerEvent> {
  return question.type === "rendered"
    ? backend.complete(question.text, options)
    : backend.answer({ ...question.conversation, ...options, thinking })
}
