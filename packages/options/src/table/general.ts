import { COMMAND_NAMES } from "../command-name.ts"
import type { OptionSpec } from "../option-spec.ts"

/** Options of every command. */
export const GENERAL_OPTIONS = {
  config: {
    kind: "path",
    value: "FILE",
    help: "settings from this file instead of ds4.toml in the configuration folder",
    commands: COMMAND_NAMES,
  },
  help: { kind: "switch", short: "h", help: "this text", commands: COMMAND_NAMES },
} as const satisfies Record<string, OptionSpec>
