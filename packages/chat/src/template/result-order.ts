import type { Message } from "./conversation.ts"

const reorderRun = (run: readonly Message[], order: ReadonlyMap<string, number>): Message[] => {
  const isKnown = (message: Message): boolean =>
    message.role === "tool" && order.has(message.toolCallId ?? "")
  const rank = (message: Message): number =>
    message.role === "tool" ? (order.get(message.toolCallId ?? "") ?? 0) : 0
  const known = run.filter(isKnown).toSorted((a, b) => rank(a) - rank(b))
  return run.map((message) => (isKnown(message) ? (known.shift() ?? message) : message))
}

/**
 * Puts tool results in the order of the calls that they answer. Results of the assistant turn
 * before them change places among themselves; everything else stays where it is.
 */
export const orderToolResults = (messages: readonly Message[]): Message[] => {
  const ordered: Message[] = []
  let run: Message[] = []
  let order: ReadonlyMap<string, number> = new Map()
  for (const message of messages) {
    if (message.role !== "assistant") {
      run.push(message)
      continue
    }
    ordered.push(...reorderRun(run, order), message)
    run = []
    order = new Map(message.toolCalls?.map((call, index) => [call.id, index]))
  }
  ordered.push(...reorderRun(run, order))
  return ordered
}
