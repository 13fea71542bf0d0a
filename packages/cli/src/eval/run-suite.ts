import type { AnswerUsage, Chat, FinishEvent } from "@ds4/chat"
import { isRight } from "./check-answer.ts"
import type { Suite, SuiteItem } from "./suite.ts"

const MAX_ANSWER_TOKENS = 400 // no expected answer has half as many: longer ones do not end

export interface ItemResult {
  readonly id: string
  readonly kind: string
  readonly isRight: boolean
  /** The model ended the answer itself. */
  readonly isEnded: boolean
  readonly content: string
  readonly reasoning: string
  readonly calls: readonly { readonly name: string; readonly arguments: string }[]
  readonly usage: AnswerUsage | undefined
}

/** Answers one item with greedy decoding through the chat template. */
export async function runItem(item: SuiteItem, chat: Chat): Promise<ItemResult> {
  const { thinking, tools, messages } = item
  let finish: FinishEvent | undefined
  for await (const event of chat.answer({
    messages,
    ...(tools === undefined ? {} : { tools }),
    thinking: thinking ? "default" : "off",
    maxTokens: MAX_ANSWER_TOKENS,
    sampling: { temperature: 0 },
    keepReasoning: false,
  }))
    if (event.type === "finish") finish = event
  const { content = "", reasoning = "", toolCalls: calls = [] } = finish?.message ?? {}
  return {
    id: item.id,
    kind: item.kind,
    isRight: isRight({ content, calls }, item.expect),
    isEnded: finish?.reason === "stop" || finish?.reason === "tool-calls",
    content,
    reasoning,
    calls,
    usage: finish?.usage,
  }
}

/** How many of a group are right, and how many were meant to be; shares in percent. */
export interface Share {
  readonly right: number
  readonly total: number
  readonly percent: number
  readonly goalPercent: number | undefined
}

export interface SuiteSummary {
  readonly kinds: readonly (Share & { readonly kind: string })[]
  /** Answers that ended by themselves. */
  readonly ended: Share
  readonly promptTokensPerSecond: number
  readonly decodeTokensPerSecond: number
}

const shareOf = (right: number, total: number, goalPercent: number | undefined): Share => ({
  right,
  total,
  percent: (100 * right) / Math.max(1, total),
  goalPercent,
})

const perSecond = (tokens: number, ms: number): number => (ms > 0 ? (tokens * 1000) / ms : 0)

/** Counts by kind, in order of first appearance. */
export function summarise(
  results: readonly ItemResult[],
  { goals, endedGoal }: Pick<Suite, "goals" | "endedGoal">,
): SuiteSummary {
  const kinds = [...new Set(results.map(({ kind }) => kind))].map((kind) => {
    const own = results.filter((result) => result.kind === kind)
    return {
      kind,
      ...shareOf(own.filter((result) => result.isRight).length, own.length, goals[kind]),
    }
  })
  const sum = (of: (usage: AnswerUsage) => number): number =>
    results.reduce((total, { usage }) => total + (usage === undefined ? 0 : of(usage)), 0)
  return {
    kinds,
    ended: shareOf(results.filter(({ isEnded }) => isEnded).length, results.length, endedGoal),
    promptTokensPerSecond: perSecond(
      sum((usage) => usage.promptTokens - usage.cachedTokens),
      sum(({ prefillMs }) => prefillMs),
    ),
    decodeTokensPerSecond: perSecond(
      sum(({ completionTokens }) => completionTokens),
      sum(({ decodeMs }) => decodeMs),
    ),
  }
}
