// Sums the JUnit reports of every package into the closing line of a test run.
import { Glob } from "bun"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const REPORTERS = ["packages/*", "native", "scripts", "tests"]

interface Tally {
  passed: number
  failed: number
  skipped: number
  reports: number
}

/** Paths of all reports under a checkout, relative to it. */
function reportPaths(root: string): string[] {
  return REPORTERS.flatMap((folder) => [
    ...new Glob(`${folder}/.reports/*.xml`).scanSync({ cwd: root, dot: true }),
  ])
}

/** Reads the counts of one report's `<testsuites>` element; errors count as failures. */
export function countReport(xml: string): Omit<Tally, "reports"> {
  const root = /<testsuites\b([^>]*)>/.exec(xml)?.[1]
  if (root === undefined) throw new Error("a report has no <testsuites> element")
  const read = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0)
  const failed = read("failures") + read("errors")
  const skipped = read("skipped")
  return { passed: read("tests") - failed - skipped, failed, skipped }
}

/** Sums all reports under a checkout. */
export async function tallyReports(root: string): Promise<Tally> {
  const sum: Tally = { passed: 0, failed: 0, skipped: 0, reports: 0 }
  for (const path of reportPaths(root)) {
    const report = countReport(await Bun.file(join(root, path)).text())
    sum.passed += report.passed
    sum.failed += report.failed
    sum.skipped += report.skipped
    sum.reports += 1
  }
  return sum
}

/** Names the failed tests of one report, each with its file and the first line of what it said. */
export function failedTests(xml: string): string[] {
  const found: string[] = []
  for (const piece of xml.split("<testcase").slice(1)) {
    const [attributes = "", ...inside] = piece.split(/(?=<(?:failure|error)\b)/)
    const failure = /^(?:[^>"]|"[^"]*")*/.exec(inside[0] ?? "")?.[0] ?? ""
    if (failure === "") continue
    const read = (name: string, from: string) =>
      textOf(new RegExp(`\\b${name}="([^"]*)"`).exec(from)?.[1] ?? "")
    const path = [read("file", attributes), read("classname", attributes), read("name", attributes)]
    const words = read("message", failure).replaceAll(/\s+/g, " ").trim().slice(0, 300)
    found.push([...path.filter(Boolean), words].join(": "))
  }
  return found
}

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
}

function textOf(escaped: string): string {
  return escaped.replaceAll(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, name?: string) =>
    code === undefined ? (ENTITIES[name ?? ""] ?? whole) : String.fromCodePoint(Number(code)),
  )
}

/** The failed tests of all reports under a checkout, each with its package's folder. */
export async function failuresOf(root: string): Promise<string[]> {
  const all = await Promise.all(
    reportPaths(root).map(async (path) =>
      failedTests(await Bun.file(join(root, path)).text()).map(
        (line) => `${path.slice(0, path.indexOf("/.reports"))}: ${line}`,
      ),
    ),
  )
  return all.flat()
}

/** Deletes the reports of earlier runs: a package that no longer reports must not be counted. */
export function clearReports(root: string): void {
  for (const path of reportPaths(root)) rmSync(join(root, path))
}

export function tallyLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`
}

/** No report or no executed test is a failure: a green run must have run something. */
export function isGreen({ passed, failed }: Tally): boolean {
  return failed === 0 && passed > 0
}

if (import.meta.main) {
  const tally = await tallyReports(ROOT)
  console.log(tallyLine(tally))
  process.exit(isGreen(tally) ? 0 : 1)
}
