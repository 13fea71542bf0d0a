// Questions that the demo model was made for and answers reliably. Nothing here depends on its
// exact words.

/** Sums with their results: most of them must be right, whatever the weights are. */
export const SUMS: readonly (readonly [question: string, result: number])[] = [
  ["What is 23 + 45?", 68],
  ["What is 17 + 25?", 42],
  ["What is 61 + 38?", 99],
  ["What is 58 - 23?", 35],
  ["What is 7 * 8?", 56],
  ["What is 34 + 52?", 86],
]

/** The last number of an answer, as `ds4 eval` counts it. */
export function lastNumber(text: string): number {
  return Number(text.match(/-?\d+/g)?.at(-1) ?? Number.NaN)
}

/**
 * Where the tool round trip asks for the time: what a call must name, and what the tool then says.
 */
export const CLOCK = {
  name: "get_time",
  description: "Get the current time in a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string", description: "City name." } },
    required: ["city"],
  },
  question: "What time is it in Rome?",
  arguments: { city: "Rome" },
  result: '{"time": "20:14"}',
  needle: "20:14",
} as const

/**
 * A text of about so many sentences, none of which asks anything; one sentence is some 12 tokens.
 */
export function longText(sentences: number): string {
  return Array.from(
    { length: sentences },
    (_, index) => `Line ${index} of the notes: the file is read and the list is kept.`,
  ).join("\n")
}
