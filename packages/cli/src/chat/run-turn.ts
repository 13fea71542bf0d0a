import type {
  AnswerRequest,
  AnswerUsage,
  Backend,
  FinishReason,
  PartialAnswer,
} from "../backend/backend.ts"
import type { AnswerView } from "./answer-view.ts"

export interface TurnResult {
  /** Everything of this answer, including what it continued from. */
  readonly answer: PartialAnswer
  readonly finish: FinishReason
  readonly usage: AnswerUsage | undefined
  /** Nothing was produced in this turn. */
  readonly isEmpty: boolean
}

/**
 * Asks for one answer and shows it. An aborted signal ends the turn with finish "cancelled";
 * nothing is lost.
 */
export async function runTurn(
  backend: Backend,
  request: AnswerRequest,
  view: AnswerView,
): Promise<TurnResult> {
  let reasoning = request.from?.reasoning ?? ""
  let content = request.from?.content ?? ""
  let produced = 0
  let finish: FinishReason = "cancelled"
  let usage: AnswerUsage | undefined
  const isAborted = () => request.signal?.aborted === true
  try {
    for await (const event of backend.answer(request)) {
      if (event.type === "prefill") view.prefill(event.processed, event.total)
      else if (event.type === "reasoning") {
        reasoning += event.text
        produced += event.text.length
        view.reasoning(event.text)
      } else if (event.type === "content") {
        content += event.text
        produced += event.text.length
        view.content(event.text)
      } else if (event.type === "tool-call") {
        produced += 1
        view.remark(`tool call: ${event.call.name}(${event.call.arguments})`)
      } else {
        finish = event.finish
        usage = event.usage
      }
    }
  } catch (error) {
    if (!isAborted()) {
      view.end(undefined)
      throw error
    }
  }
  if (isAborted()) finish = "cancelled"
  return { answer: { reasoning, content }, finish, usage, isEmpty: produced === 0 }
}
