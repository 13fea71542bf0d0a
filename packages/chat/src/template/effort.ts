// The effort levels of reasoning. Two generations of checkpoints differ only in the meaning of
// these words, so the table is a property of the loaded model.
export type Effort = "low" | "high" | "max"

/** Reasoning before an answer; "default" is the effort that the checkpoint was made for. */
export type ThinkingLevel = "default" | "off" | Effort

export interface EffortTable {
  readonly name: string
  /** Text between BOS and the system text, by effort. */
  readonly prefixes: Readonly<Record<Effort, string>>
  readonly defaultEffort: Effort
}

const ABSOLUTE_MAXIMUM =
  "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n" +
  "You MUST be very thorough in your thinking and comprehensively decompose the problem to " +
  "resolve the root cause, rigorously stress-testing your logic against all potential paths, " +
  "edge cases, and adversarial scenarios.\n" +
  "Explicitly write out your entire deliberation process, documenting every intermediate step, " +
  "considered alternative, and rejected hypothesis to ensure absolutely no assumption is left " +
  "unchecked.\n\n"

const BEYOND_MAXIMUM =
  "Reasoning Effort: Beyond maximum \u2014 exhaustive, relentless, and uncompromising.\n" +
  "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: " +
  "exhaustively decompose the problem into its most fundamental components, trace every causal " +
  "chain to its root, and resolve the underlying cause rather than any surface symptom.\n" +
  "Do not stop reasoning until you have independently verified the solution from multiple " +
  "angles and are certain that no assumption remains unchecked and no error remains " +
  "undiscovered.\n\n"

export const EFFORT_TABLES: Readonly<Record<"original" | "0731", EffortTable>> = {
  /** April 2026 release. */
  original: {
    name: "original",
    prefixes: { low: "", high: "", max: ABSOLUTE_MAXIMUM },
    defaultEffort: "high",
  },
  /** The refresh and the vision checkpoint moved every level down one step. */
  "0731": {
    name: "0731",
    prefixes: { low: "", high: ABSOLUTE_MAXIMUM, max: BEYOND_MAXIMUM },
    defaultEffort: "low",
  },
}

/** Words by which clients ask for an effort, and the level that each of them means. */
const LEVELS = {
  none: "none",
  minimal: "low",
  low: "low",
  medium: "high",
  high: "high",
  xhigh: "high",
  max: "max",
} as const satisfies Record<string, Effort | "none">

type EffortWord = keyof typeof LEVELS

export const EFFORT_WORDS = Object.keys(LEVELS) as readonly EffortWord[] // keys of a literal

/** Reads a client's effort word; "none" is no reasoning, an unknown word undefined. */
export const parseEffort = (word: string): Effort | "none" | undefined =>
  Object.hasOwn(LEVELS, word) ? LEVELS[word as EffortWord] : undefined // checked on this line

/**
 * Finds the table of a checkpoint by the texts with which its file describes it.
 * @param hints general.name, general.version, the path: any that exist
 * @returns the original table where no hint decides
 */
export const detectEffortTable = (hints: readonly string[]): EffortTable =>
  hints.some((hint) => hint.includes("0731") || /vision/i.test(hint))
    ? EFFORT_TABLES["0731"]
    : EFFORT_TABLES.original
