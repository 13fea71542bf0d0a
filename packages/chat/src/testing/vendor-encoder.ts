// The vendor's encoder of conversations by its published rules, written anew for tests: a second
// opinion on src/template that shares no code with it. It takes messages in OpenAI's form and works
// in the vendor's order: merge results, sort them, drop old turns, write message by message.
import { fixture } from "./fixtures.ts"
import { objectMembers, pythonJson } from "./python-json.ts"

export interface VendorCall {
  readonly id: string
  readonly function: { readonly name: string; readonly arguments: string }
}

export interface VendorMessage {
  readonly role: "system" | "user" | "developer" | "assistant" | "tool" | "latest_reminder"
  readonly content?: string | null
  readonly reasoning_content?: string
  readonly tool_calls?: readonly VendorCall[]
  readonly tool_call_id?: string
  /** JSON texts of the function objects. */
  readonly tools?: readonly string[]
  /** JSON text of the schema of the answer. */
  readonly response_format?: string
  readonly task?: string
  /** The turn is left open. */
  readonly wo_eos?: boolean
}

interface Block {
  readonly text: string
  /** Set in results: the call that the block answers. */
  readonly answers?: string
}
interface Merged extends Omit<VendorMessage, "role"> {
  readonly role: Exclude<VendorMessage["role"], "tool">
  readonly blocks?: Block[]
}

interface Templates {
  readonly tools_block: { readonly reference: string }
  readonly response_format_block: string
}
const TEMPLATES = await fixture<Templates>("templates.json")
const { checkpoints: EFFORTS } = await fixture<{ checkpoints: { original: { max: string } } }>(
  "effort-prefixes.json",
)
const DSML = "｜DSML｜"
const ASSISTANT = "<｜Assistant｜>"
const EOS = "<｜end▁of▁sentence｜>"

const merge = (messages: readonly VendorMessage[]): Merged[] => {
  const merged: Merged[] = []
  for (const message of messages) {
    const { role, content } = message
    const open = merged.at(-1)?.role === "user" ? merged.at(-1) : undefined
    if (role === "tool") {
      const block = { text: content ?? "", answers: message.tool_call_id ?? "" }
      if (open === undefined) merged.push({ role: "user", blocks: [block] })
      else open.blocks?.push(block)
    } else if (role !== "user") merged.push({ ...message, role })
    else if (open !== undefined && open.task === undefined)
      open.blocks?.push({ text: content ?? "" })
    else merged.push({ ...message, role, blocks: [{ text: content ?? "" }] })
  }
  return merged
}

const sortResults = (messages: readonly Merged[]): void => {
  let places: Record<string, number> = {}
  for (const { role, tool_calls: calls = [], blocks = [] } of messages) {
    if (role === "assistant" && calls.length > 0)
      places = Object.fromEntries(calls.map(({ id }, index) => [id, index]))
    const results = blocks.filter(({ answers }) => answers !== undefined)
    const place = ({ answers = "" }: Block): number => places[answers] ?? 0
    results.sort((a, b) => place(a) - place(b))
    blocks.forEach(({ answers }, index) => {
      if (answers !== undefined) blocks.splice(index, 1, ...results.splice(0, 1))
    })
  }
}

const lastUser = (messages: readonly Merged[]): number =>
  messages.findLastIndex(({ role }) => role === "user" || role === "developer")

/** Developer turns before the last user turn go; reasoning there is left out when written. */
const dropOld = (messages: readonly Merged[]): Merged[] =>
  messages.filter(({ role }, index) => role !== "developer" || index >= lastUser(messages))

/** A block of the template with its one placeholder filled. */
const filled = (template: string, placeholder: string, text: string): string =>
  `\n\n${template.split(placeholder).join(text)}`

const toolsText = (tools: readonly string[] = []): string =>
  tools.length === 0
    ? ""
    : filled(TEMPLATES.tools_block.reference, "{schemas}", tools.map(pythonJson).join("\n"))

const formatText = (schema: string | undefined): string =>
  schema === undefined
    ? ""
    : filled(TEMPLATES.response_format_block, "{schema}", pythonJson(schema))

const parameter = ([key, value]: [string, string]): string => {
  const isString = value.startsWith('"')
  const text = isString ? (JSON.parse(value) as string) : pythonJson(value)
  return `<${DSML}parameter name="${key}" string="${isString}">${text}</${DSML}parameter>`
}

const callText = ({ function: { name, arguments: given } }: VendorCall): string => {
  const members = objectMembers(given) ?? [["arguments", JSON.stringify(given)]]
  return `<${DSML}invoke name="${name}">\n${members.map(parameter).join("\n")}\n</${DSML}invoke>`
}

class VendorEncoder {
  constructor(
    private readonly messages: readonly Merged[],
    private readonly thinking: boolean,
    private readonly drops: boolean,
  ) {}

  encode(): string {
    return this.messages
      .map((message, index) => this.body(message, index) + this.after(index))
      .join("")
  }

  private body(message: Merged, index: number): string {
    const content = message.content ?? ""
    switch (message.role) {
      case "system":
        return content + toolsText(message.tools) + formatText(message.response_format)
      case "developer":
        return `<｜User｜>${content}${toolsText(message.tools)}`
      case "latest_reminder":
        return `<｜latest_reminder｜>${content}`
      case "user":
        return `<｜User｜>${(message.blocks ?? [])
          .map(({ text, answers }) =>
            answers === undefined ? text : `<tool_result>${text}</tool_result>`,
          )
          .join("\n\n")}`
      case "assistant":
        return this.assistant(message, index)
    }
  }

  private assistant(message: Merged, index: number): string {
    const { content, reasoning_content: reasoning, tool_calls: calls = [] } = message
    const isTaskOutput = this.messages[index - 1]?.task !== undefined
    const isShown = !this.drops || index > lastUser(this.messages)
    const block =
      calls.length === 0
        ? ""
        : `\n\n<${DSML}tool_calls>\n${calls.map(callText).join("\n")}\n</${DSML}tool_calls>`
    return (
      (this.thinking && !isTaskOutput && isShown ? `${reasoning ?? ""}</think>` : "") +
      (content ?? "") +
      block +
      (message.wo_eos === true ? "" : EOS)
    )
  }

  /** The step to what follows: a task, or the opening of the assistant's turn. */
  private after(index: number): string {
    const next = this.messages[index + 1]?.role
    if (next !== undefined && next !== "assistant" && next !== "latest_reminder") return ""
    const { role, task } = this.messages[index] ?? {}
    const opening = ASSISTANT + (this.thinking ? "<think>" : "</think>")
    if (task === "action") return `${opening}<｜action｜>`
    if (task !== undefined) return `<｜${task}｜>`
    if (role !== "user" && role !== "developer") return ""
    return this.thinking && this.drops && index < lastUser(this.messages)
      ? `${ASSISTANT}</think>`
      : opening
  }
}

/** The vendor's prompt of a conversation, of the original checkpoint. */
export const vendorPrompt = (
  messages: readonly VendorMessage[],
  thinking: boolean,
  effort?: "high" | "max",
): string => {
  const merged = merge(messages)
  sortResults(merged)
  const drops = !merged.some(({ tools }) => tools !== undefined && tools.length > 0)
  const kept = thinking && drops ? dropOld(merged) : merged
  const prefix = thinking && effort === "max" ? EFFORTS.original.max : ""
  return `<｜begin▁of▁sentence｜>${prefix}${new VendorEncoder(kept, thinking, drops).encode()}`
}
