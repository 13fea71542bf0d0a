import type { OutputEvent } from "@ds4/chat"
import type { Transcript } from "../../answer/transcript.ts"

/** The events of a gathered answer, in the order in which they came. */
export function eventsOf(answer: Transcript): OutputEvent[] {
  const events: OutputEvent[] = []
  let index = 0
  for (const part of answer.parts) {
    if (part.type !== "call") {
      events.push(part)
      continue
    }
    const { id, name, arguments: text } = part.call
    events.push(
      { type: "tool-call-start", index, id, name },
      { type: "tool-call-arguments", index, text },
      { type: "tool-call-end", index, call: part.call },
    )
    index++
  }
  return events
}
