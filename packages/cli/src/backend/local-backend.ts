import {
  segmentsText,
  type AnswerEvent,
  type AnswerOptions,
  type AnswerRequest,
  type Chat,
  type Conversation,
  type ThinkingLevel,
} from "@ds4/chat"
import type { Backend, BackendDescription, PromptView } from "./backend.ts"

/** Ties the turns of this process to one session of the engine. */
const SESSION_HINT = "chat"

/** A chat in this process. */
export class LocalBackend implements Backend {
  readonly description: BackendDescription

  constructor(
    private readonly chat: Chat,
    where: string,
  ) {
    const { name: model, contextTokens } = chat.engine.model
    this.description = { model, contextTokens, where }
  }

  answer(request: AnswerRequest): AsyncIterable<AnswerEvent> {
    return this.chat.answer({ ...request, sessionHint: SESSION_HINT })
  }

  async *complete(text: string, options: AnswerOptions): AsyncIterable<AnswerEvent> {
    const prompt = await this.chat.renderedPrompt([{ text, control: true }])
    yield* this.chat.start(prompt, { ...options, sessionHint: SESSION_HINT })
  }

  async prompt(conversation: Conversation, thinking: ThinkingLevel): Promise<PromptView> {
    const { segments, tokens } = await this.chat.prompt({ ...conversation, thinking })
    return { text: segmentsText(segments), ids: tokens }
  }

  async close(): Promise<void> {
    await this.chat.close()
  }
}
