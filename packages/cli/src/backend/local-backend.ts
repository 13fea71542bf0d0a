import type { GenerateEvent, GenerateRequest, InferenceEngine } from "@ds4/engine"
import {
  OutputParser, detectEffortTable, renderChat, segmentsText, specialTokens, startsInThinking,
  type Conversation, type EffortTable, type ModelFile, type OutputEvent, type Segment, type Tokenizer,
} from "@ds4/tokenizer"
import type { AnswerEvent, AnswerRequest, Backend, BackendDescription, PartialAnswer, PromptView, ThinkLevel } from "./backend.ts"

export interface LocalBackendOptions {
  readonly file: ModelFile
  readonly tokenizer: Tokenizer
  readonly engine: InferenceEngine
  readonly where: string
}

/** The texts of a file that tell which generation of checkpoints it is. */
function checkpointHints(file: ModelFile): string[] {
  const texts = ["general.name", "general.version"].map((key) => file.metadata.get(key)).filter((value) => typeof value === "string")
  return [...texts, file.config.name, file.path]
}

/** An engine in this process. */
export class LocalBackend implements Backend {
  readonly description: BackendDescription
  private readonly effortTable: EffortTable
  private readonly thinkClose: number | undefined

  constructor(private readonly options: LocalBackendOptions) {
    const { engine, file, tokenizer, where } = options
    this.description = { model: engine.model.name, contextTokens: engine.model.contextTokens, isDemo: engine.model.isDemo, where }
    this.effortTable = detectEffortTable(checkpointHints(file)).table
    this.thinkClose = tokenizer.special.get(specialTokens.THINK_CLOSE)
  }

  async *answer(request: AnswerRequest): AsyncIterable<AnswerEvent> {
    const { tokenizer, engine } = this.options
    const segments = this.segments(request)
    const isThinking = request.from === undefined ? startsInThinking(segments) : request.from.content === "" && request.settings.think !== "off"
    const parser = new AnswerParser(tokenizer, isThinking, request.settings.stop)
    for await (const event of engine.generate(this.engineRequest(request, tokenizer.encodeSegments(segments), isThinking))) {
      if (event.type === "prefill") yield event
      else if (event.type === "tokens") yield* parser.push(event.tokens.map(({ id }) => id))
      else yield* parser.end(event)
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
    return renderChat(conversation, { thinking: think !== "off", ...effort, effortTable: this.effortTable })
  }

  /** The prompt with the beginning of the answer in place: reasoning still open while there is no content. */
  private renderFrom(conversation: Conversation, think: ThinkLevel, from: PartialAnswer): Segment[] {
    const prompt = this.render(conversation, think)
    const isOpen = think !== "off" && from.content === ""
    const closed: Segment[] = isOpen || think === "off" ? [] : [{ text: specialTokens.THINK_CLOSE, control: true }]
    return [...prompt, { text: from.reasoning, control: false }, ...closed, { text: from.content, control: false }]
  }

  private engineRequest({ settings, signal }: AnswerRequest, promptTokens: number[], isThinking: boolean): GenerateRequest {
    const { temperature, topP, topK, minP, seed } = settings
    const close = isThinking ? this.thinkClose : undefined
    return {
      promptTokens,
      sampling: { temperature, topP, topK, minP, ...(seed === undefined ? {} : { seed }) },
      stopTokens: [this.options.tokenizer.eos],
      stopStrings: settings.stop,
      ...(settings.maxTokens === undefined ? {} : { maxTokens: settings.maxTokens }),
      ...(close === undefined ? {} : { thinkCloseToken: close }),
      ...(close === undefined || settings.reasoningBudget === undefined ? {} : { reasoningBudget: settings.reasoningBudget }),
      ...(signal === undefined ? {} : { signal }),
      sessionHint: "chat",
    }
  }
}

type EndEvent = Extract<GenerateEvent, { type: "end" }>

/** Ids to reasoning and content; without declared tools nothing is read as a call. */
class AnswerParser {
  private readonly decoder: ReturnType<Tokenizer["streamDecoder"]>
  private readonly parser: OutputParser

  constructor(tokenizer: Tokenizer, thinking: boolean, stop: readonly string[]) {
    this.decoder = tokenizer.streamDecoder()
    this.parser = new OutputParser({ thinking, stopStrings: stop })
  }

  *push(ids: readonly number[]): Iterable<AnswerEvent> {
    const text = ids.map((id) => this.decoder.push(id)).join("")
    yield* this.translate(this.parser.push(text))
  }

  *end(event: EndEvent): Iterable<AnswerEvent> {
    yield* this.translate(this.parser.push(this.decoder.flush()))
    yield* this.translate(this.parser.end(event.reason === "stop" || event.reason === "stop-string" ? "stop" : "cut"))
    yield { type: "end", finish: event.reason === "stop-string" ? "stop" : event.reason, usage: event.usage }
  }

  private *translate(events: readonly OutputEvent[]): Iterable<AnswerEvent> {
    for (const event of events) if (event.type === "reasoning" || event.type === "content") yield event
  }
}
