import { defineCommand } from "../command.ts"
import { embeddedModelCheck, expertCheck, selfCheck, systemChecks, type Check } from "../doctor.ts"
import { machineChecks } from "../machine-checks.ts"
import { EXIT, messageOf } from "../errors.ts"
import { progressOf } from "../progress-of.ts"

const BUILD_ADVICE = "build the native library with ./ds4 build; Debian needs cmake and g++"

/** Runs checks; one that throws is a problem, not the end. */
async function attempted(
  name: string,
  checks: () => Promise<Check[]>,
  advice = BUILD_ADVICE,
): Promise<Check[]> {
  try {
    return await checks()
  } catch (error) {
    return [{ name, verdict: "problem", found: messageOf(error), advice }]
  }
}

function json(checks: readonly Check[], ok: boolean): string {
  const plain = checks.map(({ name, verdict, found, advice }) => ({ name, verdict, found, advice }))
  return `${JSON.stringify({ schema: "ds4.doctor/1", ok, checks: plain }, undefined, 2)}\n`
}

export const doctor = defineCommand({
  name: "doctor",
  usage: "[FLAGS]",
  summary: "checks this machine and the installation, and says what to do",
  examples: ["ds4 doctor", "ds4 doctor --json"],
  maxPositionals: 0,
  run: async ({ flags, io, prepareNative }) => {
    prepareNative()
    using progress = progressOf(io)
    const attempt = (name: string, run: () => Promise<Check[]>, advice?: string) => {
      progress.begin({ label: `checking: ${name}` })
      return attempted(name, run, advice)
    }
    const checks = [
      ...(await systemChecks()),
      ...(await attempt("library", async () =>
        machineChecks((await import("@ds4/engine")).machine()),
      )),
      ...(await attempt(
        "demo model",
        async () => [await embeddedModelCheck()],
        "restore the folder: git checkout models/demo",
      )),
      ...(await attempt("experts", async () => [await expertCheck()])),
      ...(await attempt("self check", async () => [await selfCheck()])),
    ]
    progress.stop()
    const isHealthy = checks.every(({ verdict }) => verdict !== "problem")
    if (flags.json) io.out(json(checks, isHealthy))
    else {
      const width = Math.max(...checks.map(({ name, title = name }) => title.length))
      for (const { name, title = name, verdict, found, advice } of checks) {
        io.out(
          `${verdict.padEnd(8)} ${title.padEnd(width)}  ${found}\n` +
            `${advice === undefined ? "" : `${" ".repeat(width + 11)}${advice}\n`}`,
        )
      }
    }
    return isHealthy ? EXIT.done : EXIT.failed
  },
})
