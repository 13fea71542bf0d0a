import demoSuite from "./demo-suite.json"
import type { Message, ToolDeclaration } from "@ds4/chat"

/** What an answer must be. Exactly one of the fields is set. */
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

/**
 * Suites by the name that --suite takes. tools/demo-model/suite.py writes the file, which is ours
 * and typed by its writer.
 */
export const SUITES: Readonly<Record<string, Suite>> = {
  demo: {
    ...(demoSuite as unknown as Pick<Suite, "name" | "items">),
    goals: DEMO_GOALS,
    endedGoal: 99,
  },
}
