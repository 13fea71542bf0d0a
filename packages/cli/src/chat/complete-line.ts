import type { Completion } from "../terminal/completion.ts"
import { pathsFrom } from "../terminal/complete-path.ts"
import type { ConversationStore } from "./conversation-store.ts"
import { SLASH_COMMANDS } from "./slash/dispatch.ts"

function starting(word: string, words: readonly string[]): string[] {
  return words.filter((each) => each.startsWith(word)).toSorted()
}

/** The words that a command takes at this place of its line. */
function argumentsOf(
  name: string,
  before: string,
  word: string,
  store: ConversationStore,
): string[] {
  const command = SLASH_COMMANDS.find((each) => each.name === name)
  const takes = command?.takes
  if (takes === "paths") return pathsFrom(word)
  if (takes === undefined || before.trim() !== "") return [] // other words follow no first one
  return starting(word, takes({ store }))
}

/**
 * Completes the word before the cursor of a chat line: slash commands, their words, and paths, also
 * behind an @. In front of a line a tab is a tab.
 */
export function completeLine(text: string, store: ConversationStore): Completion | undefined {
  const slash = /^\/(?<name>[^\s/]*)(?<rest>\s[\s\S]*)?$/.exec(text)?.groups
  if (slash !== undefined && slash["rest"] === undefined)
    return {
      begin: 0,
      candidates: starting(
        text,
        SLASH_COMMANDS.map(({ name }) => `/${name}`),
      ),
    }
  const word = /\S*$/.exec(text)?.[0] ?? ""
  const begin = text.length - word.length
  if (slash !== undefined) {
    const before = (slash["rest"] ?? "").slice(0, (slash["rest"] ?? "").length - word.length)
    return { begin, candidates: argumentsOf(slash["name"] ?? "", before, word, store) }
  }
  if (word === "") return undefined
  if (word.startsWith("@"))
    return { begin, candidates: pathsFrom(word.slice(1)).map((path) => `@${path}`) }
  return { begin, candidates: pathsFrom(word) }
}
