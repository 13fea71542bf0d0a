import type { ToolCall } from "./conversation.ts"
import type { Turn, UserPart, UserTurn } from "./turns.ts"

/** Place of each call in its turn, by id. */
type CallOrder = ReadonlyMap<string, number>

const orderOf = (calls: readonly ToolCall[]): CallOrder =>
  new Map(calls.map(({ id }, index) => [id, index] as const).filter(([id]) => id !== ""))

const reordered = (turn: UserTurn, order: CallOrder): UserTurn => {
  const rank = (part: UserPart): number | undefined =>
    part.role === "tool" ? order.get(part.toolCallId ?? "") : undefined
  const known = turn.parts
    .filter((part) => rank(part) !== undefined)
    .toSorted((a, b) => (rank(a) ?? 0) - (rank(b) ?? 0))
    .values()
  const parts = turn.parts.map((part) =>
    rank(part) === undefined ? part : (known.next().value ?? part),
  )
  return { ...turn, parts }
}

/**
 * Puts tool results in the order of the calls that they answer: those of the last turn before them
 * that made any. The results of a turn change places among themselves. Everything else stays where
 * it is, results of unknown calls included.
 */
export const orderToolResults = (turns: readonly Turn[]): Turn[] => {
  let order: CallOrder = new Map()
  return turns.map((turn) => {
    if (turn.role === "assistant" && (turn.toolCalls?.length ?? 0) > 0)
      order = orderOf(turn.toolCalls ?? [])
    return turn.role === "user" ? reordered(turn, order) : turn
  })
}
