// The test command: modules, house rules, lint, types, all tests, and one closing line with the
// counts.
// Usage: bun scripts/test.ts [turbo flags, e.g. --force or --filter=@ds4/cli]
import { fileURLToPath } from "node:url"
import { checkBunVersion, prepareModules } from "./prepare-modules.ts"
import { prepareTinyModels } from "./prepare-tiny-models.ts"
import { clearReports, failuresOf, isGreen, tallyLine, tallyReports } from "./tally.ts"
import { turbo } from "./turbo.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))

/** Runs one stage under a heading; returns whether it succeeded. */
function stage(name: string, run: () => number): boolean {
  console.log(`\n== ${name}`)
  const isGood = run() === 0
  if (!isGood) console.log(`== ${name} FAILED`)
  return isGood
}

function script(...words: string[]): number {
  const { exitCode } = Bun.spawnSync([process.execPath, ...words], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  })
  return exitCode ?? 1
}

checkBunVersion()
prepareModules("all")
await prepareTinyModels()
clearReports(ROOT)
const flags = process.argv.slice(2)
const quiet = "--output-logs=errors-only"
const stages = [
  stage("format", () => script("scripts/format.ts", "--check")),
  stage("house rules", () => script("scripts/tidy.ts")),
  // before the tests: compilers on all cores beside tests with time limits would make them fail
  stage("build", () => turbo(["build", "build:programs", "--output-logs=new-only", ...flags])),
  stage("lint", () => turbo(["lint", quiet, ...flags])),
  stage("types", () => turbo(["typecheck", quiet, ...flags])),
  stage("tests", () =>
    turbo(["test", "--continue=dependencies-successful", "--concurrency=2", ...flags]),
  ),
]
// in CI only: it compiles files again, one at a time
if (process.env.CI === "true" && flags.length === 0)
  stages.push(
    stage("mutations", () => script("scripts/mutations.ts", "--changed", "--seconds", "120")),
  )
const tally = await tallyReports(ROOT)
// told again at the end: what a package printed may lie thousands of lines above
for (const line of await failuresOf(ROOT)) console.log(`\nfailed: ${line}`)
console.log(`\n${tallyLine(tally)}`)
process.exit(stages.every(Boolean) && isGreen(tally) ? 0 : 1)
