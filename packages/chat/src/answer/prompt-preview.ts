import type { Prompt } from "./answer-request.ts"

const CHARACTERS = 80

/** The first words of a text, on one line, without half a character at their end. */
export const firstWords = (text: string): string =>
  text
    .slice(0, 4 * CHARACTERS)
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, CHARACTERS)
    .replace(/[\ud800-\udbff]$/, "")

/** The first words of the last question, for lists of saved states; undefined: nobody asked. */
export function promptPreview({ messages = [] }: Pick<Prompt, "messages">): string | undefined {
  const asked = messages.findLast(({ role }) => role === "user")
  const words = firstWords(asked?.content ?? "")
  return words === "" ? undefined : words
}
