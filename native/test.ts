// Builds the native test programs and runs them with a JUnit report each. A program that
// should exist and does not is a failure: a build that lost its tests must not look green.
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { buildTargets, TEST_PROGRAMS } from "./src/build-tree.ts"
import { DIST } from "./src/index.ts"

const reports = join(import.meta.dir, ".reports")
mkdirSync(reports, { recursive: true })

buildTargets(TEST_PROGRAMS)
let failed = false
for (const [program, sources] of [["ds4_tests", "src"], ["ktb_tests", "kt_bridge"]] as const) {
  const hasTests = [...new Bun.Glob("**/*_test.cc").scanSync(join(import.meta.dir, sources))].length > 0
  if (!hasTests) continue
  const path = join(DIST, program)
  if (!existsSync(path)) {
    console.error(`${path} is missing although ${sources}/ has tests`)
    failed = true
    continue
  }
  const { exitCode, signalCode } = Bun.spawnSync([path, join(reports, `${program}.xml`)], { stdio: ["ignore", "inherit", "inherit"] })
  if (exitCode === 0) continue
  console.error(`${program} ${signalCode === undefined ? `exited with ${exitCode}` : `was ended by ${signalCode}`}`)
  failed = true
}
process.exit(failed ? 1 : 0)
