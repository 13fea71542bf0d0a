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
  quiet: {
    kind: "switch",
    short: "q",
    help: "nothing on stderr but errors: no progress, notes, reasoning or closing line",
    commands: COMMAND_NAMES,
    perCommand: {
      chat: { help: "no progress, greeting or closing line; without a terminal as in ds4 run" },
      serve: {
        help: "nothing on stderr but errors; with --port 0 the address goes to stdout",
      },
    },
  },
  help: { kind: "switch", short: "h", help: "this text", commands: COMMAND_NAMES },
} as const satisfies Record<string, OptionSpec>
