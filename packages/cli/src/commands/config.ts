import { defineCommand } from "../command.ts"
import { defaultConfigPath } from "../config/config-file.ts"
import { EXIT } from "../errors.ts"
import { effectiveValue, type Effective } from "../flags/effective-values.ts"
import { FLAGS, isFlagName, type FlagName } from "../flags/registry.ts"

/** Flags that say what one call does rather than how ds4 is set up. */
const PER_CALL: ReadonlySet<FlagName> = new Set([
  "help",
  "config",
  "prompt",
  "file",
  "out",
  "batch",
  "ids",
  "dump",
  "raw-logits",
  "compare",
  "csv",
  "force",
  "count",
  "tensors",
  "special",
  "raw",
  "json",
  "stream-json",
])

function text(value: Effective["value"]): string {
  if (value === undefined) return "(unset)"
  return Array.isArray(value) ? JSON.stringify(value) : String(value)
}

export const config = defineCommand({
  name: "config",
  usage: "[FLAGS]",
  summary: "shows the effective settings and where each comes from",
  details:
    "A flag wins over its DS4_ variable, which wins over ds4.toml, which wins over the default.",
  examples: ["ds4 config", "DS4_TEMP=0 ds4 config --json"],
  flags: ["json"],
  maxPositionals: 0,
  run: async ({ flags, given, configFile, io }) => {
    const names = Object.keys(FLAGS)
      .filter(isFlagName)
      .filter((name) => !PER_CALL.has(name))
    const secret = (name: FlagName, effective: Effective): Effective =>
      name === "api-key" && effective.value !== undefined
        ? { ...effective, value: "(set)" }
        : effective
    const settings = names.map((name) => ({
      name,
      ...secret(
        name,
        effectiveValue(name, { flags: given, environment: io.environment, file: configFile }),
      ),
    }))
    const path = configFile?.path ?? defaultConfigPath(io.environment)
    if (flags.json) {
      const report = {
        schema: "ds4.config/1",
        file: path,
        fileExists: configFile !== undefined,
        settings: settings.map(({ value, ...rest }) => ({ ...rest, value: value ?? null })),
      }
      io.out(`${JSON.stringify(report, undefined, 2)}\n`)
      return EXIT.done
    }
    io.out(`configuration file: ${path}${configFile === undefined ? " (not there)" : ""}\n`)
    for (const { name, value, source } of settings)
      io.out(`${name.padEnd(20)} ${text(value).padEnd(16)} ${source}\n`)
    return EXIT.done
  },
})
