import type { Message, ToolDeclaration } from "@ds4/chat"
import { join } from "node:path"
import { CliError, EXIT } from "../errors.ts"

/** The answer that is expected. Exactly one of the fields is set. */
export interface Expectation {
  /** All of these stand in the content; letter case does not matter. */
  readonly contains?: readonly string[]
  /** The content is this text, white space at the ends aside. */
  readonly equals?: string
  /** The last number of the content. */
  readonly number?: number
  /** These calls with these arguments, in this order, and no other. */
  readonly calls?: readonly {
    readonly name: string
    readonly arguments: Readonly<Record<string, unknown>>
  }[]
  /** No call at all, and some content. */
  readonly no_calls?: boolean
}

export interface SuiteItem {
  readonly id: string
  readonly kind: string
  readonly thinking: boolean
  readonly messages: readonly Message[]
  readonly tools?: readonly ToolDeclaration[]
  readonly expect: Expectation
}

export interface Suite {
  readonly name: string
  readonly items: readonly SuiteItem[]
  /** Percent of right answers that the suite's own model is meant to reach, by kind. */
  readonly goals: Readonly<Record<string, number>>
  /** The same for answers that end by themselves, of any kind. */
  readonly endedGoal: number
}

const DEMO_GOALS = {
  fact: 80,
  arithmetic: 90,
  "tool-call": 95,
  "tool-none": 95,
  "tool-result": 90,
  instruction: 80,
  "recall-4000": 90,
}

interface SuiteSource extends Pick<Suite, "goals" | "endedGoal"> {
  /** Its questions, in the folder of the embedded model; tools/demo-model/suite.py writes them. */
  readonly file: string
}

/** Suites by the name that --suite takes. */
export const SUITES: Readonly<Record<string, SuiteSource>> = {
  demo: { file: "eval-suite.json", goals: DEMO_GOALS, endedGoal: 99 },
}

/** Reads a suite's questions from the model that it measures. */
export async function readSuite({ file, goals, endedGoal }: SuiteSource): Promise<Suite> {
  const { EMBEDDED_MODEL_PATH } = await import("@ds4/engine")
  const path = join(EMBEDDED_MODEL_PATH, file)
  if (!(await Bun.file(path).exists()))
    throw new CliError(
      EXIT.failed,
      `the questions are missing: expected ${path}; restore it: git checkout models/demo`,
    )
  // the file is ours and typed by its writer
  const questions = (await Bun.file(path).json()) as Pick<Suite, "name" | "items">
  return { ...questions, goals, endedGoal }
}
