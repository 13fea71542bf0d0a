// Sentences about calls that could not be read: for the client as text, and for the log.

/** A name is quoted so far; it is the model's text and may be anything. */
const MAX_NAME_UNITS = 60

export const PROBLEMS = {
  noName: "it names no tool",
  noCall: "nothing was called",
  noTool: "its arguments belong to no tool",
  incomplete: "it ended before it was complete",
  namelessArgument: "one of its arguments has no name",
} as const

export const undeclaredProblem = (name: string): string =>
  `it names ${JSON.stringify(name.slice(0, MAX_NAME_UNITS))}, which is not among the declared tools`

/** The text that a client is shown in the place of a call that could not be read. */
export const problemNote = (problem: string): string =>
  `[A tool call in this answer could not be read: ${problem}.]`
