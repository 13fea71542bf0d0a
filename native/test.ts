// Builds the native test programs and runs them with a JUnit report each. A program that
// should exist and does not is a failure: a build that lost its tests must not look green.
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { buildTargets, SANITIZERS, sanitizedFolder, type Sanitizer } from "./package/build-tree.ts"
import { DIST } from "./package/index.ts"

const USAGE = `usage: bun native/test.ts [--sanitize SANITIZER] [--only TEXT]
                           [--shard I/N] [--times]
  --sanitize  build and run under one of ${Object.keys(SANITIZERS).join(", ")}:
              AddressSanitizer with UndefinedBehaviorSanitizer, or ThreadSanitizer
  --only      only tests whose sentence contains TEXT; a program without one is no failure
  --shard     only every N-th test from the I-th on, so that N calls run them all
  --times     a line per test with its seconds (always with --sanitize)`

interface Options {
  sanitizer?: Sanitizer
  only?: string
  shard?: string
  isTimed: boolean
}

const isSanitizer = (name: string): name is Sanitizer => Object.hasOwn(SANITIZERS, name)

/** I/N with 1 <= I <= N. */
function isShard(text = ""): boolean {
  const [, index, count] = /^([1-9]\d*)\/([1-9]\d*)$/.exec(text) ?? []
  return index !== undefined && Number(index) <= Number(count)
}

function parse(flags: readonly string[]): Options {
  const options: Options = { isTimed: false }
  for (let at = 0; at < flags.length; at++) {
    const flag = flags[at]
    const value = flags[at + 1]
    if (flag === "--times") options.isTimed = true
    else if (flag === "--only" && value !== undefined) options.only = flags[++at]
    else if (flag === "--shard" && isShard(value)) options.shard = flags[++at]
    else if (flag === "--sanitize" && value !== undefined && isSanitizer(value)) {
      options.sanitizer = value
      options.isTimed = true // minutes without a line look like a hang
      at++
    } else {
      console.error(USAGE)
      process.exit(2)
    }
  }
  return options
}

const options = parse(process.argv.slice(2))
const programs = options.sanitizer === undefined ? DIST : sanitizedFolder(options.sanitizer)
// beside the programs with a sanitizer: what lies in .reports/ is counted by the repository's test
// command
const reports =
  options.sanitizer === undefined ? join(import.meta.dir, ".reports") : join(programs, "reports")
const env = { UBSAN_OPTIONS: "print_stacktrace=1", ...process.env }

const NO_SUCH_TEST = 3 // exit status of a program that --only leaves without a test

/** Runs one program; tells how it failed, "" if it did not, undefined if it had nothing to run. */
function run(program: string): string | undefined {
  const path = join(programs, program)
  if (!existsSync(path)) return "is missing although there are tests"
  const flags = [
    ...(options.only === undefined ? [] : ["--only", options.only]),
    ...(options.shard === undefined ? [] : ["--shard", options.shard]),
    ...(options.isTimed ? ["--times"] : []),
  ]
  const { exitCode, signalCode } = Bun.spawnSync(
    [path, join(reports, `${program}.xml`), ...flags],
    { env, stdio: ["ignore", "inherit", "inherit"] },
  )
  if (exitCode === NO_SUCH_TEST) return undefined
  return exitCode === 0
    ? ""
    : signalCode === undefined
      ? `exited with ${exitCode}`
      : `was ended by ${signalCode}`
}

await buildTargets(["tests"], options.sanitizer)
mkdirSync(reports, { recursive: true })
let hasFailed = false
let hasRun = false
for (const [program, sources] of [
  ["ds4_tests", "src"],
  ["ktb_tests", "kt_bridge"],
  ["gpu_tests", "src/kernels"],
] as const) {
  const hasTests =
    [...new Bun.Glob("**/*_test.cc").scanSync(join(import.meta.dir, sources))].length > 0
  if (!hasTests) continue
  const begin = performance.now()
  const failure = run(program)
  if (failure === undefined) continue
  hasRun = true
  if (failure !== "") {
    console.error(`${program} ${failure}`)
    hasFailed = true
  } else if (options.sanitizer !== undefined) {
    console.log(
      `${program}: nothing to report by ${SANITIZERS[options.sanitizer]}, ` +
        `${Math.round((performance.now() - begin) / 1000)} s`,
    )
  }
}
if (!hasRun)
  console.error(
    `no test${options.only === undefined ? "" : ` whose sentence contains "${options.only}"`}`,
  )
process.exit(hasFailed || !hasRun ? 1 : 0)
