// Random conversations in the vendor's form: awkward texts, every kind of argument, results in any
// order, tasks and reminders. Forms that this project renders otherwise on purpose do not occur.
import type { Random } from "@ds4/model-file/testing"
import type { VendorCall, VendorMessage } from "./vendor-encoder.ts"

const TEXTS = [
  "hi",
  "",
  " leading",
  "trailing \n",
  "世界 🙂",
  "a\n\nb",
  "<b>&amp; &lt;x&gt;",
  "</think>",
  "<think>x</think>",
  "<｜User｜>",
  "<｜end▁of▁sentence｜>",
  "<tool_result>",
  '"q" \\ \t',
  "\u2028\u0000\u007f\u001f\b\f",
  "\r\nCRLF",
  "｜DSML｜",
  "$& {content} {schemas}",
  "x".repeat(50),
]
const KEYS = ["path", "content", "n", "10", "2", "ключ", "a b", "x<y", 'q"', "__proto__", ""]
const NAMES = ["tool_0", "tool_1", "mcp__x__y", "имя"]
const NUMBERS = [
  "0",
  "-0",
  "-7",
  "12345678901234567890",
  "1.0",
  "-0.0",
  "0.25",
  "1e21",
  "1E5",
  "3.14159265358979323846",
  "1.50",
  "0.00001",
  "0.0001234",
  "123456789012345678.5",
  "1e-7",
]

export class ConversationMaker {
  private calls = 0

  constructor(private readonly random: Random) {}

  private chance(percent: number): boolean {
    return this.random.below(100) < percent
  }

  text(): string {
    const { random } = this
    return random.pick(TEXTS) + random.pick(["", " ", random.pick(TEXTS)])
  }

  /** A JSON string, spelled in one of the ways that clients have. */
  private string(text: string): string {
    const literal = JSON.stringify(text)
    if (this.chance(50)) return literal
    return literal.replace(/[\u007f-\uffff]/g, (unit) => {
      return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
    })
  }

  private value(depth: number): string {
    const { random } = this
    const kind = random.below(depth > 2 ? 4 : 6)
    if (kind === 0) return random.pick(NUMBERS)
    if (kind === 1) return random.pick(["true", "false", "null"])
    if (kind < 4) return this.string(this.text())
    if (kind === 4) return this.object(depth)
    const items = Array.from({ length: random.below(3) }, () => this.value(depth + 1))
    return `[${items.join(random.pick([",", ", ", " ,\n"]))}]`
  }

  private object(depth: number): string {
    const { random } = this
    const keys = new Set(Array.from({ length: random.below(4) }, () => random.pick(KEYS)))
    const colon = random.pick([":", ": ", " : "])
    const members = Array.from(keys, (key) => this.string(key) + colon + this.value(depth + 1))
    return `{${members.join(random.pick([",", ", "]))}}`
  }

  /** The text of a function object. */
  private tool(index: number): string {
    const description = this.string(this.text())
    return (
      `{"name":"tool_${index}","description":${description},"parameters":{"type":"object",` +
      `"properties":${this.object(0)},"required":["path"],"x":${this.value(0)}}}`
    )
  }

  private call(): VendorCall {
    const name = this.random.pick(NAMES)
    const text = this.chance(8) ? this.random.pick(["not json", '{"a":', "{'a': 1}"]) : undefined
    this.calls++
    return { id: `c${this.calls}`, function: { name, arguments: text ?? this.object(0) } }
  }

  private assistant(more: Partial<VendorMessage> = {}): VendorMessage {
    const reasoning = this.chance(70) ? { reasoning_content: this.text() } : {}
    const content = more.tool_calls !== undefined && this.chance(30) ? null : this.text()
    return { role: "assistant", content, ...reasoning, ...more }
  }

  /** Calls and their results, in any order, with words of the user somewhere among them. */
  private toolRound(): VendorMessage[] {
    const { random } = this
    const calls = Array.from({ length: 1 + random.below(3) }, () => this.call())
    const results = calls.map(
      ({ id }): VendorMessage => ({ role: "tool", tool_call_id: id, content: this.text() }),
    )
    for (let last = results.length - 1; last > 0 && this.chance(50); last--)
      results.push(...results.splice(random.below(last + 1), 1))
    if (this.chance(20))
      results.splice(random.below(results.length + 1), 0, { role: "user", content: this.text() })
    const isLate = this.chance(10) // results that come after another exchange
    const between: VendorMessage[] = isLate
      ? [{ role: "user", content: this.text() }, this.assistant()]
      : []
    return [this.assistant({ tool_calls: calls }), ...between, ...results]
  }

  /** Words of the user, and all that follows up to an answer. */
  private round(withTools: boolean, isVendorOnly: boolean): VendorMessage[] {
    const messages: VendorMessage[] = []
    if (withTools && isVendorOnly && this.chance(20))
      messages.push({ role: "developer", content: `dev ${this.text()}` })
    messages.push({ role: "user", content: this.text() })
    if (this.chance(15)) messages.push({ role: "user", content: this.text() })
    if (withTools || this.chance(20))
      for (let count = this.random.below(3); count > 0; count--) messages.push(...this.toolRound())
    return [...messages, this.assistant()]
  }

  /** The last message that there may be: an open or whole answer, words of the user, or a task. */
  private ending(messages: VendorMessage[], isVendorOnly: boolean): VendorMessage[] {
    const kind = this.random.below(10)
    const answer = messages.at(-1)
    if (kind === 0) return messages
    if (kind === 1 && answer !== undefined)
      return messages.with(-1, { ...answer, content: answer.content || "x", wo_eos: true })
    if (kind === 2) return messages.slice(0, -1)
    const user: VendorMessage = { role: "user", content: this.text() }
    if (!isVendorOnly || this.chance(50)) return [...messages, user]
    const task = this.random.pick(["action", "query", "authority", "domain", "title", "read_url"])
    if (kind === 3 && answer !== undefined) return messages.with(-1, { ...answer, task })
    if (kind === 4) return [...messages, { ...user, task }, { role: "assistant", content: "out" }]
    if (kind === 5) return [...messages, { role: "developer", content: "dev" }]
    return [...messages, { ...user, task }]
  }

  /**
   * @param isVendorOnly tasks, developer turns and reminders too, which no client's API carries
   */
  conversation(isVendorOnly: boolean): VendorMessage[] {
    const tools = Array.from({ length: this.random.below(3) }, (_, index) => this.tool(index))
    const head: VendorMessage[] =
      tools.length > 0 || this.chance(60)
        ? [{ role: "system", content: this.text(), ...(tools.length > 0 && { tools }) }]
        : []
    if (isVendorOnly && this.chance(20))
      head.push({ role: "latest_reminder", content: this.text() })
    const rounds = Array.from({ length: 1 + this.random.below(3) }, () =>
      this.round(tools.length > 0, isVendorOnly),
    )
    return [...head, ...this.ending(rounds.flat(), isVendorOnly)]
  }
}
