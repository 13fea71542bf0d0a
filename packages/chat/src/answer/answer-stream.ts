// Runs one answer in the engine: a prompt in, a stream of events out.
import type { GenerateEvent, GenerateRequest, InferenceEngine } from "@ds4/engine"
import type { Tokenizer } from "@ds4/tokenizer"
import { ASSISTANT, THINK_CLOSE, THINK_OPEN, USER } from "@ds4/tokenizer/special-tokens"
import type { AssistantMessage } from "../template/conversation.ts"
import { thinkingLeftOut } from "../template/past-thinking.ts"
import type { AnswerEvent, AnswerUsage, FinishEvent } from "./answer-event.ts"
import type { AnswerMemory } from "./answer-memory.ts"
import { AnswerReader } from "./answer-reader.ts"
import type { AnswerOptions, Prompt } from "./answer-request.ts"
import { promptPreview } from "./prompt-preview.ts"
import { outputLimit } from "./context-overflow.ts"

interface AnswerParts {
  readonly engine: InferenceEngine
  readonly tokenizer: Tokenizer
  readonly memory: AnswerMemory
}

type AnswerPhase = "waiting" | "prefill" | "decode" | "ended"

/** An answer that starts with the first event that is asked for, and is read once. */
export class AnswerStream implements AsyncIterable<AnswerEvent> {
  /** The stage that the last event came from. */
  phase: AnswerPhase = "waiting"
  /** Tokens of the prompt that have been processed, cached ones included. */
  processedTokens = 0
  private readonly reader: AnswerReader
  private readonly request: GenerateRequest
  /** The output limit is the room that the context leaves: reaching it fills the session. */
  private readonly isLimitRoom: boolean
  private readonly ending = new AbortController()
  private engineUsage: Pick<AnswerUsage, "cachedTokens" | "prefillMs" | "decodeMs" | "cache"> = {
    cachedTokens: 0,
    prefillMs: 0,
    decodeMs: 0,
  }
  private isStarted = false

  /** @throws ContextOverflowError when the prompt leaves no room for an answer */
  constructor(
    private readonly parts: AnswerParts,
    private readonly prompt: Prompt,
    options: AnswerOptions,
  ) {
    this.reader = new AnswerReader(parts.tokenizer, prompt, options)
    const limit = outputLimit(prompt.tokens.length, options.maxTokens, parts.engine.model)
    this.isLimitRoom = limit < (options.maxTokens ?? Infinity)
    this.request = {
      ...engineRequest(parts, prompt, options, this.ending.signal),
      stopTokens: this.reader.stopTokens,
      maxTokens: limit,
    }
  }

  /** Counts and times so far; complete with the finish event. */
  get usage(): AnswerUsage {
    const { completionTokens, reasoningTokens } = this.reader
    const promptTokens = this.prompt.tokens.length
    return { promptTokens, ...this.engineUsage, completionTokens, reasoningTokens }
  }

  /**
   * Yields all events that one poll of the engine gave, which may be none. Text of one part is one
   * event in a batch. Leaving the loop cancels the answer.
   * @throws EngineError
   */
  async *batches(): AsyncGenerator<readonly AnswerEvent[], void, undefined> {
    if (this.isStarted) throw new Error("an answer can be read once; ask for another one")
    this.isStarted = true
    try {
      for await (const event of this.parts.engine.generate(this.request)) yield this.read(event)
    } finally {
      this.ending.abort()
      this.phase = "ended"
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AnswerEvent, void, undefined> {
    for await (const batch of this.batches()) yield* batch
  }

  private read(event: GenerateEvent): readonly AnswerEvent[] {
    if (event.type === "prefill") return [this.readProgress(event)]
    if (event.type === "end") return this.readEnd(event)
    this.phase = "decode"
    const events = this.reader.push(event.tokens)
    // A closed call block or a stop string ends the answer, whatever the model would write next.
    if (this.reader.finish !== undefined) this.ending.abort()
    return events
  }

  private readProgress(event: Extract<GenerateEvent, { type: "prefill" }>): AnswerEvent {
    const { processed, total, cached } = event
    this.phase = "prefill"
    this.processedTokens = processed
    this.engineUsage = { ...this.engineUsage, cachedTokens: cached }
    return {
      type: "progress",
      processedTokens: processed,
      promptTokens: total,
      cachedTokens: cached,
    }
  }

  private readEnd(event: Extract<GenerateEvent, { type: "end" }>): AnswerEvent[] {
    const { cachedTokens, prefillMs, decodeMs, cache } = event.usage
    this.engineUsage = { cachedTokens, prefillMs, decodeMs, ...(cache && { cache }) }
    const isFull = event.reason === "length" && this.isLimitRoom
    const rest = this.reader.end(isFull ? "context" : event.reason)
    this.parts.memory.remember(this.reader, this.prompt)
    return [...rest, this.finish()]
  }

  private finish(): FinishEvent {
    return {
      type: "finish",
      reason: this.reader.finish ?? "stop",
      stopString: this.reader.stopString,
      detail: this.reader.detail,
      warnings: this.reader.warnings,
      usage: this.usage,
      message: this.message(),
    }
  }

  private message(): AssistantMessage {
    const { isThinking, continued } = this.prompt
    const reasoning = (continued?.reasoning ?? "") + this.reader.reasoning
    return {
      role: "assistant",
      content: (continued?.content ?? "") + this.reader.content,
      ...(isThinking || reasoning !== "" ? { reasoning } : {}),
      ...(this.reader.calls.length > 0 ? { toolCalls: [...this.reader.calls] } : {}),
    }
  }
}

/** Offsets of the markers that begin a user's or an assistant's message. */
function messageBegins(tokens: readonly number[], { special }: Tokenizer): number[] {
  const markers = new Set([special.get(USER), special.get(ASSISTANT)])
  return tokens.flatMap((id, offset) => (markers.has(id) ? [offset] : []))
}

function engineRequest(
  { tokenizer }: AnswerParts,
  prompt: Prompt,
  options: AnswerOptions,
  ending: AbortSignal,
): GenerateRequest {
  const { tokens, isThinking, tools } = prompt
  const preview = promptPreview(prompt)
  const hasTools = tools.length > 0
  const thinkClose = tokenizer.special.get(THINK_CLOSE)
  // With tools prompts show the reasoning that clients send back; not all of them do.
  const shownAs =
    options.keepReasoning === false
      ? undefined
      : thinkingLeftOut(tokens, {
          open: tokenizer.special.get(THINK_OPEN),
          close: thinkClose,
          hasTools,
        })
  const { sampling, topLogprobs, reasoningBudget, sessionHint } = options
  // Stop strings are the parser's: inside the arguments of a call they do not count.
  return {
    promptTokens: tokens,
    signal: options.signal === undefined ? ending : AbortSignal.any([options.signal, ending]),
    ...(sampling === undefined ? {} : { sampling }),
    ...(topLogprobs === undefined ? {} : { logprobs: true, topLogprobs }),
    ...(hasTools && options.greedyToolSyntax !== false
      ? { toolZones: true, toolNames: tools.map(({ name }) => name) }
      : {}),
    ...(isThinking && thinkClose !== undefined ? { thinkCloseToken: thinkClose } : {}),
    ...(isThinking && reasoningBudget !== undefined ? { reasoningBudget } : {}),
    ...(shownAs === undefined ? {} : { shownAs }),
    messageBegins: messageBegins(tokens, tokenizer),
    ...(sessionHint === undefined ? {} : { sessionHint }),
    ...(preview === undefined ? {} : { preview }),
    ...(options.explainCache === true ? { explainCache: true } : {}),
  }
}
