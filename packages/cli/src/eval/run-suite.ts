import { OutputParser, renderChat, type Conversation } from "@ds4/chat"
import { type Tokenizer } from "@ds4/tokenizer"
import type { InferenceEngine, Usage } from "@ds4/engine"
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
  readonly usage: Usage | undefined
}

/** Answers one item with greedy decoding through the chat template. */
export async function runItem(
  item: SuiteItem,
  engine: InferenceEngine,
  tokenizer: Tokenizer,
): Promise<ItemResult> {
  const { thinking, tools, messages } = item
  const conversation: Conversation = { messages, ...(tools === undefined ? {} : { tools }) }
  const promptTokens = tokenizer.encodeSegments(renderChat(conversation, { thinking }))
  const parser = new OutputParser({ thinking, tools: tools ?? [] })
  const decoder = tokenizer.streamDecoder()
  let usage: Usage | undefined
  let isEnded = false
  for await (const event of engine.generate({
    promptTokens,
    maxTokens: MAX_ANSWER_TOKENS,
    sampling: { temperature: 0 },
    stopTokens: [tokenizer.eos],
  })) {
    if (event.type === "tokens") for (const { id } of event.tokens) parser.push(decoder.push(id))
    else if (event.type === "end") {
      usage = event.usage
      isEnded = event.reason === "stop"
    }
  }
  parser.push(decoder.flush())
  parser.end(isEnded ? "stop" : "cut")
  const { content, reasoning, calls } = parser.result
  return {
    id: item.id,
    kind: item.kind,
    isRight: isRight({ content, calls }, item.expect),
    isEnded,
    content,
    reasoning,
    calls,
    usage,
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
  const sum = (of: (usage: Usage) => number): number =>
    results.reduce((total, { usage }) => total + (usage === undefined ? 0 : of(usage)), 0)
  return {
    kinds,
    ended: shareOf(results.filter(({ isEnded }) => isEnded).length, results.length, endedGoal),
    promptTokensPerSecond: perSecond(
      sum((usage) => usage.promptTokens - usage.cachedTokens),
      sum(({ prefillMs }) => prefillMs),
    ),
    decodeTokensPerSecond: perSecond(
      sum(({ generatedTokens }) => generatedTokens),
      sum(({ decodeMs }) => decodeMs),
    ),
  }
}
