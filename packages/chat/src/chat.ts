// Goes from a conversation to an answer: renders, encodes, runs the engine, reads the answer.
import type { InferenceEngine } from "@ds4/engine"
import type { Segment, Tokenizer } from "@ds4/tokenizer"
import type { AnswerEvent } from "./answer/answer-event.ts"
import { AnswerMemory, type AnswerMemoryLimits } from "./answer/answer-memory.ts"
import type {
  AnswerOptions,
  AnswerRequest,
  Prompt,
  PromptRequest,
} from "./answer/answer-request.ts"
import { AnswerStream } from "./answer/answer-stream.ts"
import { encodeInSlices } from "./encoding/encode-in-slices.ts"
import { renderChat, startsInThinking } from "./template/chat-template.ts"
import { EFFORT_TABLES, type EffortTable } from "./template/effort.ts"

export interface ChatParts {
  readonly engine: InferenceEngine
  readonly tokenizer: Tokenizer
  /** The meaning of effort words for this checkpoint; default: the original release's. */
  readonly effortTable?: EffortTable
  /** Encodes long unbroken text on another thread. Absent: all text is encoded on this one. */
  readonly background?: {
    encode(segments: readonly Segment[]): Promise<Iterable<number>>
    close(): void
  }
  /** Limits of the sampled calls and answers that later prompts repeat exactly. */
  readonly memory?: AnswerMemoryLimits
}

/** A model that answers conversations. Several answers may run at once. */
export class Chat implements AsyncDisposable {
  readonly engine: InferenceEngine
  readonly tokenizer: Tokenizer
  private readonly effortTable: EffortTable
  private readonly memory: AnswerMemory

  constructor(private readonly parts: ChatParts) {
    this.engine = parts.engine
    this.tokenizer = parts.tokenizer
    this.effortTable = parts.effortTable ?? EFFORT_TABLES.original
    this.memory = new AnswerMemory(parts.memory)
  }

  /**
   * Answers a conversation. The first event is progress, the last one finish. Leaving the loop, or
   * aborting the request's signal, ends the work within one step of the engine.
   * @throws ContextOverflowError, EngineError
   */
  async *answer(request: AnswerRequest): AsyncGenerator<AnswerEvent, void, undefined> {
    yield* this.start(await this.prompt(request), request)
  }

  /** Renders and encodes the prompt of a conversation. */
  async prompt(request: PromptRequest): Promise<Prompt> {
    const { thinking = "default", continueFinal = false, profile } = request
    const rendered = renderChat(request, {
      thinking: thinking !== "off",
      effortTable: this.effortTable,
      replay: this.memory.toolCalls,
      ...(thinking === "off" || thinking === "default" ? {} : { effort: thinking }),
      continueFinal,
      addGenerationPrompt: request.addGenerationPrompt ?? true,
      ...(profile === undefined ? {} : { profile }),
    })
    const segments = this.memory.apply(rendered)
    const last = request.messages.at(-1)
    const continued =
      continueFinal && last?.role === "assistant"
        ? { reasoning: last.reasoning ?? "", content: last.content }
        : undefined
    return {
      segments,
      tokens: await this.encode(segments),
      isThinking: startsInThinking(segments, continueFinal),
      tools: request.tools ?? [],
      messages: request.messages,
      ...(continued === undefined ? {} : { continued }),
    }
  }

  /** Encodes a prompt that has been rendered already; control strings count in control segments. */
  async renderedPrompt(segments: readonly Segment[]): Promise<Prompt> {
    return {
      segments,
      tokens: await this.encode(segments),
      isThinking: startsInThinking(segments),
      tools: [],
    }
  }

  /**
   * Prepares the answer to a prompt; it runs when its events are read.
   * @throws ContextOverflowError
   */
  start(prompt: Prompt, options: AnswerOptions = {}): AnswerStream {
    const { engine, tokenizer, memory } = this
    return new AnswerStream({ engine, tokenizer, memory }, prompt, options)
  }

  /** Ids of segments. Long text is encoded in slices, so that the event loop turns in between. */
  async encode(segments: readonly Segment[]): Promise<number[]> {
    return await encodeInSlices(this.parts, segments)
  }

  /** Cancels running answers and frees the engine. Idempotent. */
  async close(): Promise<void> {
    this.parts.background?.close()
    await this.engine.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
