import type { OutputEvent } from "../parser/events.ts"

/** Joins neighbouring pieces of one part, so that a batch of many tokens becomes one event. */
export function coalesce(events: readonly OutputEvent[]): OutputEvent[] {
  const joined: OutputEvent[] = []
  for (const event of events) {
    const last = joined.at(-1)
    if (last !== undefined && "text" in last && last.type === event.type && isSameCall(last, event))
      joined[joined.length - 1] = { ...last, text: last.text + event.text }
    else joined.push(event)
  }
  return joined
}

function isSameCall(left: OutputEvent, right: OutputEvent): boolean {
  return ("index" in left ? left.index : -1) === ("index" in right ? right.index : -1)
}
