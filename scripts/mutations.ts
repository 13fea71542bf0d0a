// Puts known faults into a copy of the sources, one at a time, and checks that the tests which
// should notice each one do. A fault that survives, or no longer fits its file, is a failure.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { changedFiles } from "./mutations/changed-files.ts"
import { isNative, type Mutation, type Verdict } from "./mutations/mutation.ts"
import { NativeTrials } from "./mutations/native-trials.ts"
import { parseOptions, type Options } from "./mutations/options.ts"
import { MUTATIONS } from "./mutations/table.ts"
import { TypescriptTrials } from "./mutations/typescript-trials.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))

type Trials = NativeTrials | TypescriptTrials

/** The rows that the options ask for, or why there are none. */
function selected(options: Options): readonly Mutation[] | string {
  if (!options.isChangedOnly) {
    const named = MUTATIONS.filter(({ name, file }) => `${file} ${name}`.includes(options.only))
    return named.length > 0 ? named : `no file or name contains "${options.only}"`
  }
  const changes = changedFiles(ROOT, options.since)
  if (changes.files === undefined) return `${changes.reason}; none was tried`
  const changed = new Set(changes.files)
  const testOf = (file: string): string => file.replace(/\.(cc|h)$/, "_test.cc")
  const touched = MUTATIONS.filter(({ file, tests }) =>
    [file, testOf(file), ...tests].some((path) => changed.has(path)),
  )
  return touched.length > 0 ? touched : `no file with one has changed since ${changes.since}`
}

/** Checks the tests on sources without a fault first: a test that fails anyway shows nothing. */
async function tryOne(trials: Trials, mutation: Mutation, good: Set<string>): Promise<Verdict> {
  const invalid = (detail: string): Verdict => ({ mutation, outcome: "invalid", detail })
  try {
    for (const test of mutation.tests) {
      if (good.has(test)) continue
      const passes = await trials.passes(mutation, test)
      if (passes === undefined) return invalid(`there is no test "${test}"`)
      if (!passes) return invalid(`"${test}" fails without it`)
      good.add(test)
    }
    return await trials.try(mutation)
  } catch (error) {
    return invalid(error instanceof Error ? error.message : String(error))
  }
}

function report({ mutation, outcome, detail }: Verdict, begin: number): void {
  const seconds = ((performance.now() - begin) / 1000).toFixed(1)
  const mark = { killed: "killed  ", survived: "SURVIVED", invalid: "INVALID " }[outcome]
  const reason = detail === "" ? "" : `: ${detail}`
  console.log(`${mark} ${mutation.file}: ${mutation.name}${reason} (${seconds} s)`)
}

/** Tries mutations of one kind one after another until the time is over. */
async function tryAll(trials: Trials, queue: Mutation[], deadline: number): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  const good = new Set<string>()
  while (performance.now() < deadline) {
    const mutation = queue.shift()
    if (mutation === undefined) break
    const begin = performance.now()
    const verdict = await tryOne(trials, mutation, good)
    report(verdict, begin)
    verdicts.push(verdict)
  }
  return verdicts
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  const rows = selected(options)
  if (typeof rows === "string") {
    console.log(`mutations: ${rows}`)
    return options.isChangedOnly ? 0 : 1
  }
  const scratch = mkdtempSync(join(tmpdir(), "ds4-mutations-"))
  const deadline = performance.now() + options.seconds * 1000
  const native = rows.filter(isNative)
  const typescript = rows.filter((row) => !isNative(row))
  try {
    const work: Promise<Verdict[]>[] = []
    if (native.length > 0) {
      const trials = new NativeTrials(ROOT, scratch)
      for (let i = 0; i < (typescript.length > 0 ? 1 : 2); i++)
        work.push(tryAll(trials, native, deadline))
    }
    if (typescript.length > 0)
      work.push(tryAll(new TypescriptTrials(ROOT, join(scratch, "tree")), typescript, deadline))
    const verdicts = (await Promise.all(work)).flat()
    return closingLine(verdicts, [...native, ...typescript], options.seconds)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function closingLine(
  verdicts: readonly Verdict[],
  left: readonly Mutation[],
  seconds: number,
): number {
  const count = (outcome: Verdict["outcome"]): number =>
    verdicts.filter((verdict) => verdict.outcome === outcome).length
  const bad = count("survived") + count("invalid")
  const late = left.length > 0 ? `, ${left.length} not tried in ${seconds} s` : ""
  console.log(
    `mutations: ${count("killed")} killed, ${count("survived")} survived, ` +
      `${count("invalid")} invalid${late}`,
  )
  return bad > 0 ? 1 : 0
}

process.exit(await main())
