import { defineCommand } from "../command.ts"
import {
  embeddedModelCheck,
  expertCheck,
  libraryChecks,
  selfCheck,
  systemChecks,
  type Check,
} from "../doctor.ts"
import { EXIT, messageOf } from "../errors.ts"

const BUILD_ADVICE = "build the native library with ./ds4 build; Debian needs cmake and g++"

/** Runs checks; one that throws is a problem, not the end. */
async function attempt(
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

export const doctor = defineCommand({
  name: "doctor",
  usage: "[FLAGS]",
  summary: "checks this machine and the installation, and says what to do",
  examples: ["ds4 doctor", "ds4 doctor --json"],
  maxPositionals: 0,
  run: async ({ flags, io, prepareNative }) => {
    prepareNative()
    const checks = [
      ...(await systemChecks()),
      ...(await attempt("library", async () =>
        libraryChecks((await import("@ds4/engine")).machine()),
      )),
      ...(await attempt(
        "demo model",
        async () => [await embeddedModelCheck()],
        "restore the folder: git checkout models/demo",
      )),
      ...(await attempt("experts", async () => [await expertCheck()])),
      ...(await attempt("self check", async () => [await selfCheck()])),
    ]
    const isHealthy = checks.every(({ verdict }) => verdict !== "problem")
    if (flags.json)
      io.out(`${JSON.stringify({ schema: "ds4.doctor/1", ok: isHealthy, checks }, undefined, 2)}\n`)
    else {
      const width = Math.max(...checks.map(({ name }) => name.length))
      for (const { name, verdict, found, advice } of checks) {
        io.out(
          `${verdict.padEnd(8)} ${name.padEnd(width)}  ${found}\n` +
            `${advice === undefined ? "" : `${" ".repeat(width + 11)}${advice}\n`}`,
        )
      }
    }
    return isHealthy ? EXIT.done : EXIT.failed
  },
})
