import type { OutputEvent } from "@ds4/chat"
import type { Transcript } from "../../answer/transcript.ts"

/** The events of a gathered answer, in the order in which they came. */
export function eventsOf(answer: Transcript): OutputEvent[] {
  const events: OutputEvent[] = []
  if (answer.reasoning !== "") events.push({ type: "reasoning", text: answer.reasoning })
  if (answer.content !== "") events.push({ type: "text", text: answer.content })
  answer.calls.forEach((call, index) => {
    events.push(
      { type: "tool-call-start", index, id: call.id, name: call.name },
      { type: "tool-call-arguments", index, text: call.arguments },
      { type: "tool-call-end", index, call },
    )
  })
  return events
}
