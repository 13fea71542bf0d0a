// Ends an answer that repeats itself: a text over and over, or a call whose result is known.
import type { Tokenizer } from "@ds4/tokenizer"
import type { AnswerPart, OutputEvent } from "../parser/events.ts"
import type { Message } from "../template/conversation.ts"
import { RepeatedCalls } from "./repeated-calls.ts"
import { RepeatedText } from "./repeated-text.ts"

export class LoopGuard {
  /** A sentence that says what was repeated; undefined while the answer may go on. */
  finding: string | undefined
  private hasVainCall = false
  private readonly text: RepeatedText
  private readonly calls: RepeatedCalls
  /** The beginning of a call that may be one too many. */
  private held: OutputEvent[] | undefined

  constructor(tokenizer: Tokenizer, messages: readonly Message[]) {
    this.text = new RepeatedText(tokenizer)
    this.calls = new RepeatedCalls(messages)
  }

  /** To be called after each token. @param ids all sampled tokens */
  readTokens(ids: readonly number[], part: AnswerPart): void {
    this.finding ??= this.text.find(ids, part === "call")
  }

  /** Passes events on, except those of a call that is one too many and those after it. */
  filter(events: readonly OutputEvent[]): OutputEvent[] {
    const passed: OutputEvent[] = []
    for (const event of events) {
      if (this.hasVainCall) break
      passed.push(...this.pass(event))
    }
    return passed
  }

  private pass(event: OutputEvent): OutputEvent[] {
    if (event.type === "tool-call-end" && this.calls.isVain(event.call)) {
      this.hasVainCall = true
      this.finding =
        `the call of ${event.call.name} came for the third time with the same arguments, and no ` +
        `result was new`
      return []
    }
    if (event.type === "tool-call-arguments" && this.held !== undefined) {
      this.held.push(event)
      return []
    }
    const released = this.held ?? []
    this.held = undefined
    if (event.type !== "tool-call-start" || !this.calls.mayRepeat(event.name))
      return [...released, event]
    this.held = [event]
    return released
  }
}
