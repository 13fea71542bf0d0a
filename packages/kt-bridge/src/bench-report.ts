// The report that the native benchmark writes with --json: the same rows as its tables.
import { ExpertPoolError } from "./errors.ts"

export const BENCH_SUITES = [
  "rates",
  "decode",
  "prefill",
  "scaling",
  "methods",
  "calibration",
  "loading",
  "peer",
] as const
export type BenchSuite = (typeof BENCH_SUITES)[number]

/** A line of a suite's table: columns to figures, null where a figure could not be measured. */
export type BenchRow = Readonly<Record<string, string | number | null>> & { readonly suite: string }

export interface BenchTarget {
  readonly name: string
  readonly value: number | null
  /** Whether the value is on the right side of its bound, which is `at_least` or `at_most`. */
  readonly met: boolean
}

export interface BenchReport {
  readonly schema: string
  readonly cpu: string
  readonly threads: number
  readonly rows: readonly BenchRow[]
  /** Suites, or sizes of a suite, that were not measured. */
  readonly skipped: readonly { readonly suite: string; readonly reason: string }[]
  readonly targets: readonly BenchTarget[]
}

const SCHEMA = "kt_moe_bench/3"

/** @throws ExpertPoolError INTERNAL when the text is not a report of this schema */
export function parseBenchReport(text: string): BenchReport {
  const report: unknown = JSON.parse(text)
  const isReport =
    typeof report === "object" && report !== null && "schema" in report && report.schema === SCHEMA
  if (!isReport)
    throw new ExpertPoolError(
      "INTERNAL",
      `the benchmark's report is not of schema ${SCHEMA}: build it again`,
    )
  return report as unknown as BenchReport
}
