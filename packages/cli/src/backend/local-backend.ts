import type { GenerateEvent, GenerateRequest, InferenceEngine } from "@ds4/engine"
import {
  OutputParser,
  detectEffortTable,
  renderChat,
  segmentsText,
  startsInThinking,
  thinkingLeftOut,
  type Conversation,
  type EffortTable,
  type OutputEvent,
} from "@ds4/chat"
import { type ModelFile } from "@ds4/model-file"
import type { Segment, Tokenizer } from "@ds4/tokenizer"
import { THINK_CLOSE, THINK_OPEN } from "@ds4/tokenizer/special-tokens"
import type {
  AnswerEvent,
  AnswerRequest,
  Backend,
  BackendDescription,
  PartialAnswer,
  PromptView,
  ThinkLevel,
} from "./backend.ts"
import { SampledAnswers } from "./sampled-answers.ts"

export interface LocalBackendOptions {
  readonly file: ModelFile
  readonly tokenizer: Tokenizer
  readonly engine: InferenceEngine
  readonly where: string
}

/** The texts of a file that tell which generation of checkpoints it is. */
function checkpointHints(file: ModelFile): string[] {
  const texts = ["general.name", "general.version"]
    .map((key) => file.metadata.get(key))
    .filter((value) => typeof value === "string")
  return [...texts, file.config.name, file.path]
}

/** An engine in this process. */
export class LocalBackend implements Backend {
  readonly description: BackendDescription
  private readonly effortTable: EffortTable
  private readonly thinkClose: number | undefined
  private readonly sampled = new SampledAnswers(THINK_CLOSE)

  constructor(private readonly options: LocalBackendOptions) {
    const { engine, file, tokenizer, where } = options
    this.description = {
      model: engine.model.name,
      contextTokens: engine.model.contextTokens,
      where,
    }
    this.effortTable = detectEffortTable(checkpointHints(file)).table
    this.thinkClose = tokenizer.special.get(THINK_CLOSE)
  }

  async *answer(request: AnswerRequest): AsyncIterable<AnswerEvent> {
    const { tokenizer, engine } = this.options
    const segments = this.segments(request)
    const isThinking =
      request.from === undefined
        ? startsInThinking(segments)
        : isOpenThinking(request.settings.think, request.from)
    const answer = new AnswerReader(tokenizer, {
      isThinking,
      stop: request.settings.stop,
      thinkClose: this.thinkClose,
    })
    for await (const event of engine.generate(
      this.engineRequest(request, tokenizer.encodeSegments(segments), isThinking),
    )) {
      if (event.type === "prefill") yield event
      else if (event.type === "tokens") yield* answer.push(event.tokens.map(({ id }) => id))
      else {
        yield* answer.end(event)
        this.remember(answer, request.from)
        yield {
          type: "end",
          finish: event.reason === "stop-string" ? "stop" : event.reason,
          usage: event.usage,
        }
      }
    }
  }

  prompt(conversation: Conversation, think: ThinkLevel): PromptView {
    const segments = this.render(conversation, think)
    return { text: segmentsText(segments), ids: this.options.tokenizer.encodeSegments(segments) }
  }

  async close(): Promise<void> {
    await this.options.engine.close()
  }

  private segments({ prompt, settings, from }: AnswerRequest): Segment[] {
    if (prompt.type === "rendered") return [{ text: prompt.text, control: true }]
    if (from === undefined) return this.render(prompt.conversation, settings.think)
    return this.renderFrom(prompt.conversation, settings.think, from)
  }

  private render(conversation: Conversation, think: ThinkLevel): Segment[] {
    const effort = think === "off" || think === "default" ? {} : { effort: think }
    return this.sampled.apply(
      renderChat(conversation, {
        thinking: think !== "off",
        ...effort,
        effortTable: this.effortTable,
      }),
    )
  }

  /**
   * The prompt with the beginning of the answer in place: reasoning still open while there is no
   * content.
   */
  private renderFrom(
    conversation: Conversation,
    think: ThinkLevel,
    from: PartialAnswer,
  ): Segment[] {
    const isClosed = think !== "off" && !isOpenThinking(think, from)
    const closed: Segment[] = isClosed ? [{ text: THINK_CLOSE, control: true }] : []
    const content: Segment[] = from.content === "" ? [] : [{ text: from.content, control: false }]
    return this.sampled.apply(
      [
        ...this.render(conversation, think),
        { text: from.reasoning, control: false },
        ...closed,
        ...content,
      ].filter(({ text }) => text !== ""),
    )
  }

  private engineRequest(
    { settings, signal }: AnswerRequest,
    promptTokens: number[],
    isThinking: boolean,
  ): GenerateRequest {
    const { temperature, topP, topK, minP, seed } = settings
    const close = isThinking ? this.thinkClose : undefined
    const shownAs = settings.keepsReasoning
      ? thinkingLeftOut(
          promptTokens,
          this.options.tokenizer.special.get(THINK_OPEN),
          this.thinkClose,
        )
      : undefined
    return {
      promptTokens,
      sampling: { temperature, topP, topK, minP, ...(seed === undefined ? {} : { seed }) },
      stopTokens: [this.options.tokenizer.eos],
      stopStrings: settings.stop,
      ...(settings.maxTokens === undefined ? {} : { maxTokens: settings.maxTokens }),
      ...(close === undefined ? {} : { thinkCloseToken: close }),
      ...(close === undefined || settings.reasoningBudget === undefined
        ? {}
        : { reasoningBudget: settings.reasoningBudget }),
      ...(signal === undefined ? {} : { signal }),
      ...(shownAs === undefined ? {} : { shownAs }),
      sessionHint: "chat",
    }
  }

  /**
   * Keeps the tokens of an answer that was all delivered; what it continued counts when its tokens
   * are known.
   */
  private remember(answer: AnswerReader, from: PartialAnswer | undefined): void {
    if (!answer.isWhole) return
    const before = from?.content ?? ""
    const idsBefore = before === "" ? [] : this.sampled.idsOf(before)
    if (idsBefore !== undefined)
      this.sampled.remember(before + answer.content, [...idsBefore, ...answer.contentIds])
  }
}

/** Whether an answer to be continued is still in its reasoning. */
function isOpenThinking(think: ThinkLevel, from: PartialAnswer): boolean {
  return think !== "off" && from.content === ""
}

type EndEvent = Extract<GenerateEvent, { type: "end" }>

interface ReaderOptions {
  readonly isThinking: boolean
  readonly stop: readonly string[]
  readonly thinkClose: number | undefined
}

/** Sampled ids to reasoning and content; without declared tools nothing is read as a call. */
class AnswerReader {
  content = ""
  /** Tokens of the content, as sampled. */
  readonly contentIds: number[] = []
  private isInContent: boolean
  private readonly decoder: ReturnType<Tokenizer["streamDecoder"]>
  private readonly parser: OutputParser

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly options: ReaderOptions,
  ) {
    this.isInContent = !options.isThinking
    this.decoder = tokenizer.streamDecoder()
    this.parser = new OutputParser({ thinking: options.isThinking, stopStrings: options.stop })
  }

  /**
   * The content is exactly its tokens: nothing was cut off and no character was left unfinished.
   */
  get isWhole(): boolean {
    return this.tokenizer.decode(this.contentIds) === this.content
  }

  *push(ids: readonly number[]): Iterable<AnswerEvent> {
    for (const id of ids) {
      if (this.isInContent) this.contentIds.push(id)
      else this.isInContent = id === this.options.thinkClose
    }
    yield* this.take(this.parser.push(ids.map((id) => this.decoder.push(id)).join("")))
  }

  *end(event: EndEvent): Iterable<AnswerEvent> {
    yield* this.take(this.parser.push(this.decoder.flush()))
    yield* this.take(
      this.parser.end(event.reason === "stop" || event.reason === "stop-string" ? "stop" : "cut"),
    )
  }

  private *take(events: readonly OutputEvent[]): Iterable<AnswerEvent> {
    for (const event of events) {
      if (event.type === "reasoning") yield event
      if (event.type !== "text") continue
      this.content += event.text
      yield { type: "content", text: event.text }
    }
  }
}
