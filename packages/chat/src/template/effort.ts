// How hard the model is told to think. Two generations of checkpoints share everything but the
// meaning of these words, so the table is a property of the loaded model.
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

const LEVEL_OF_WORD: ReadonlyMap<string, Effort | "none"> = new Map([
  ["none", "none"],
  ["minimal", "low"],
  ["low", "low"],
  ["medium", "high"],
  ["high", "high"],
  ["xhigh", "high"],
  ["max", "max"],
])

/** The words clients may use, for messages. */
export const EFFORT_WORDS: readonly string[] = [...LEVEL_OF_WORD.keys()]

/** Reads a client's effort word; "none" is no reasoning, an unknown word undefined. */
export const parseEffort = (word: string): Effort | "none" | undefined => LEVEL_OF_WORD.get(word)

/**
 * The table of a checkpoint by what its file says about itself.
 * @param hints general.name, general.version, the file name: any that exist
 * @returns the table, and whether a hint decided it; undecided means `original`, which deserves a
 * warning
 */
export const detectEffortTable = (
  hints: readonly string[],
): { table: EffortTable; isKnown: boolean } => {
  if (hints.some((hint) => hint.includes("0731") || /vision/i.test(hint)))
    return { table: EFFORT_TABLES["0731"], isKnown: true }
  return {
    table: EFFORT_TABLES.original,
    isKnown: hints.some((hint) => /original|2026-?04/i.test(hint)),
  }
}

const isEffort = (value: unknown): value is Effort =>
  value === "low" || value === "high" || value === "max"

/**
 * A table from a JSON document `{"low": "…", "high": "…", "max": "…", "default": "high"}`.
 * @throws Error naming the field that is missing or mistyped
 */
export const effortTableFromJson = (name: string, document: unknown): EffortTable => {
  const fields = (typeof document === "object" && document !== null ? document : {}) as Readonly<
    Record<string, unknown>
  >
  const prefix = (effort: Effort): string => {
    const value = fields[effort]
    if (typeof value === "string") return value
    throw new Error(
      `effort table ${name}: "${effort}" is ${JSON.stringify(value) ?? "missing"}; expected the ` +
        `prefix text, possibly empty`,
    )
  }
  const defaultEffort = fields.default
  if (!isEffort(defaultEffort)) {
    throw new Error(
      `effort table ${name}: "default" is ${JSON.stringify(defaultEffort) ?? "missing"}; ` +
        `expected "low", "high" or "max"`,
    )
  }
  return {
    name,
    prefixes: { low: prefix("low"), high: prefix("high"), max: prefix("max") },
    defaultEffort,
  }
}
