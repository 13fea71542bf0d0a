import type { AnswerEvent, AnswerUsage, FinishReason, Message, ToolCall } from "@ds4/chat"
import { ask, type AnswerSettings, type Backend, type Question } from "../backend/backend.ts"
import type { AnswerView } from "./answer-view.ts"

/** Parts of an answer, which may have stopped early. */
export interface PartialAnswer {
  readonly reasoning: string
  readonly content: string
  readonly toolCalls: readonly ToolCall[]
}

interface TurnRequest {
  readonly question: Question
  readonly settings: AnswerSettings
  /** Go on from here instead of starting a new answer. */
  readonly from?: PartialAnswer
  readonly signal?: AbortSignal
}

export interface TurnResult {
  /** The whole answer, including what it continued from. */
  readonly answer: PartialAnswer
  readonly finish: FinishReason
  readonly usage: AnswerUsage | undefined
  /** Nothing was produced in this turn. */
  readonly isEmpty: boolean
}

/** The answer as a message of the conversation. */
export function answerMessage({ reasoning, content, toolCalls }: PartialAnswer): Message {
  return {
    role: "assistant",
    content,
    ...(reasoning === "" ? {} : { reasoning }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
  }
}

/**
 * Asks for one answer and shows it. An aborted signal ends the turn with finish "cancelled";
 * nothing is lost.
 */
export async function runTurn(
  backend: Backend,
  request: TurnRequest,
  view: AnswerView,
): Promise<TurnResult> {
  const turn = new Turn(request.from, view)
  const isAborted = () => request.signal?.aborted === true
  try {
    for await (const event of answersTo(backend, request)) turn.take(event)
  } catch (error) {
    if (!isAborted()) {
      view.end(undefined)
      throw error
    }
  }
  return turn.result(isAborted())
}

/** A continued answer is the conversation's last message; it goes on where it stopped. */
function answersTo(
  backend: Backend,
  { question, settings, from, signal }: TurnRequest,
): AsyncIterable<AnswerEvent> {
  if (from === undefined || question.type === "rendered")
    return ask(backend, question, { ...settings, signal })
  const { conversation } = question
  return backend.answer({
    ...conversation,
    messages: [...conversation.messages, answerMessage({ ...from, toolCalls: [] })],
    continueFinal: true,
    ...settings,
    signal,
  })
}

class Turn {
  private reasoning: string
  private content: string
  private readonly toolCalls: ToolCall[] = []
  private isEmpty = true
  private finish: FinishReason = "cancelled"
  private usage: AnswerUsage | undefined

  constructor(
    from: PartialAnswer | undefined,
    private readonly view: AnswerView,
  ) {
    this.reasoning = from?.reasoning ?? ""
    this.content = from?.content ?? ""
  }

  take(event: AnswerEvent): void {
    const { view } = this
    if (event.type === "progress") view.prefill(event.processedTokens, event.promptTokens)
    else if (event.type === "reasoning") {
      this.reasoning += event.text
      this.isEmpty = false
      view.reasoning(event.text)
    } else if (event.type === "text") {
      this.content += event.text
      this.isEmpty = false
      view.content(event.text)
    } else if (event.type === "tool-call-end") {
      this.toolCalls.push(event.call)
      this.isEmpty = false
      view.remark(`tool call: ${event.call.name}(${event.call.arguments})`)
    } else if (event.type === "finish") {
      this.finish = event.reason
      this.usage = event.usage
      if (event.detail !== undefined)
        view.remark(`[ended: ${event.detail}; --no-loop-guard lets it go on]`)
    }
  }

  result(isAborted: boolean): TurnResult {
    const { reasoning, content, toolCalls, usage, isEmpty } = this
    const finish = isAborted ? "cancelled" : this.finish
    return { answer: { reasoning, content, toolCalls }, finish, usage, isEmpty }
  }
}
