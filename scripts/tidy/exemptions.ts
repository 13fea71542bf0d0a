import type { Finding } from "./finding.ts"

/** A rule that one file may break, and why. */
interface Exemption {
  readonly check: string
  readonly path: string
  readonly reason: string
}

/** The contents of tidy.config.json. */
interface TidyConfig {
  /** Commits after this one are checked. */
  readonly commitsAfter?: string
  readonly exempt: readonly Exemption[]
}

/** Reads tidy.config.json; an exemption without a reason is refused. */
export function parseConfig(text: string): TidyConfig {
  const { commitsAfter, exempt } = JSON.parse(text) as Partial<Record<keyof TidyConfig, unknown>>
  if (!Array.isArray(exempt)) throw new Error('tidy.config.json: expected {"exempt": [...]}')
  return {
    exempt: parseExemptions(exempt),
    ...(typeof commitsAfter === "string" ? { commitsAfter } : {}),
  }
}

function parseExemptions(entries: readonly unknown[]): Exemption[] {
  return entries.map((entry: unknown, index) => {
    const { check, path, reason } = (
      typeof entry === "object" && entry !== null ? entry : {}
    ) as Partial<Record<keyof Exemption, unknown>>
    if (
      typeof check !== "string" ||
      typeof path !== "string" ||
      typeof reason !== "string" ||
      reason.length < 10
    ) {
      throw new Error(
        `tidy.config.json: exemption ${index} needs a check, a path and a reason of at least ` +
          `ten letters`,
      )
    }
    return { check, path, reason }
  })
}

/** Findings that no exemption covers, and one for each exemption that covers nothing any more. */
export function applyExemptions(
  findings: readonly Finding[],
  exemptions: readonly Exemption[],
): Finding[] {
  const covers = (exemption: Exemption, finding: Finding) =>
    exemption.check === finding.check && exemption.path === finding.path
  const left = findings.filter(
    (finding) => !exemptions.some((exemption) => covers(exemption, finding)),
  )
  const stale = exemptions.filter(
    (exemption) => !findings.some((finding) => covers(exemption, finding)),
  )
  return [
    ...left,
    ...stale.map(({ check, path }) => ({
      check: "exemption",
      path: "tidy.config.json",
      line: 1,
      message: `${path} no longer breaks ${check}; remove the exemption`,
    })),
  ]
}
