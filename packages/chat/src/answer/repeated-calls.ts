// Finds an agent that goes in circles: a call that comes for the third time although no result
// since its first time was new.
import { type JsonNode, tryParseJsonNode } from "../json/json-node.ts"
import type { AssistantMessage, Message, ToolCall } from "../template/conversation.ts"

/** A call that was made twice in vain is not made again. */
const VAIN_CALLS = 2
/** Bounds on the part of the history that is looked at; a circle is at its end. */
const MAX_TURNS = 256
const MAX_UNITS = 4 * 2 ** 20

/** An assistant turn with calls, and the results that answer it in the order of arrival. */
interface CallTurn {
  readonly calls: readonly ToolCall[]
  /** By call id; calls without a result are absent. */
  readonly results: ReadonlyMap<string, string>
  /** Text that came with the results. */
  readonly text: string
}

export class RepeatedCalls {
  /** How often each call came since the last new result, that one included. */
  private counts: Map<string, number> | undefined
  /** The calls of this answer. */
  private readonly made = new Map<string, number>()
  /** This answer holds a call whose result may be new. */
  private hasFreshCall = false

  /** @param messages the conversation; it is read when the first call comes */
  constructor(private readonly messages: readonly Message[]) {}

  /** Whether the next call of this name may be one too many, so that it has to be held back. */
  mayRepeat(name: string): boolean {
    const prefix = callKey(name, "")
    const isVain = ([key, count]: [string, number]): boolean =>
      count >= VAIN_CALLS && key.startsWith(prefix)
    return [...this.past].some(isVain) || [...this.made].some(isVain)
  }

  /** Takes a complete call of the answer; true for one too many, which is then not counted. */
  isVain({ name, arguments: text }: Pick<ToolCall, "name" | "arguments">): boolean {
    const key = callKey(name, canonical(text))
    const made = this.made.get(key) ?? 0
    const past = this.past.get(key) ?? 0
    if (made + (this.hasFreshCall ? 0 : past) >= VAIN_CALLS) return true
    this.made.set(key, made + 1)
    if (past === 0) this.hasFreshCall = true
    return false
  }

  private get past(): Map<string, number> {
    return (this.counts ??= countSinceNews(turnsSinceUser(this.messages)))
  }
}

const callKey = (name: string, text: string): string => `${JSON.stringify(name)} ${text}`

/** Arguments in a form that neither spacing nor the order of keys changes. */
function canonical(text: string): string {
  const node = tryParseJsonNode(text)
  return node === undefined ? text : canonicalNode(node)
}

function canonicalNode(node: JsonNode): string {
  if (node.kind === "literal") return node.text
  if (node.kind === "string") return JSON.stringify(node.value)
  if (node.kind === "array") return `[${node.items.map(canonicalNode).join()}]`
  const members = [...node.members].map(
    ([key, value]) => `${JSON.stringify(key)}:${canonicalNode(value)}`,
  )
  return `{${members.toSorted().join()}}`
}

/** The turns with calls after the user's last word, the oldest first. */
function turnsSinceUser(messages: readonly Message[]): CallTurn[] {
  const turns: CallTurn[] = []
  let results = new Map<string, string>()
  let text = ""
  let units = 0
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index]
    if (message === undefined || isUserTurn(message)) break
    if (message.role === "tool") results.set(message.toolCallId ?? "", message.content)
    else if (message.role !== "assistant") text = message.content + text
    else if (message.toolCalls !== undefined && message.toolCalls.length > 0) {
      turns.push({ calls: message.toolCalls, results, text })
      units += unitsOf(message)
      if (turns.length >= MAX_TURNS || units > MAX_UNITS) break
      results = new Map()
      text = ""
    }
  }
  return turns.toReversed()
}

/** A word of the user, unlike text that a client adds to results. */
function isUserTurn(message: Message): boolean {
  return message.role === "user" && message.continuesResults !== true
}

const unitsOf = ({ toolCalls = [] }: AssistantMessage): number =>
  toolCalls.reduce((sum, call) => sum + call.arguments.length, 0)

/** A turn brings news when one of its calls has a result that the same call has not had before. */
function countSinceNews(turns: readonly CallTurn[]): Map<string, number> {
  const counts = new Map<string, number>()
  const seen = new Set<string>()
  for (const { calls, results, text } of turns) {
    const keys = calls.map(({ name, arguments: json }) => callKey(name, canonical(json)))
    const outcomes = calls.map(
      ({ id }, index) => `${keys[index]} ${Bun.hash(results.get(id) ?? "")}`,
    )
    if (text !== "") outcomes.push(text)
    if (outcomes.some((outcome) => !seen.has(outcome))) counts.clear()
    for (const outcome of outcomes) seen.add(outcome)
    for (const key of new Set(keys)) counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}
