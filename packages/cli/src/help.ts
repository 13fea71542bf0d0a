import { helpOf } from "@ds4/options"
import type { Command } from "./command.ts"

/** Help of one command. */
export function commandHelp({ name, usage, summary, details, examples }: Command): string {
  return helpOf({
    command: name,
    usage: `ds4 ${name}${usage === "" ? "" : ` ${usage}`}`,
    summary,
    ...(details === undefined ? {} : { details }),
    examples,
  })
}

/** Help of the program: one line a command. */
export function programHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length)) + 2
  return [
    "usage: ds4 [COMMAND] [FLAGS]",
    "",
    "Runs DeepSeek V4 models. Without a command: chat on a terminal, this text otherwise.",
    "Without --model, commands use the demo model that comes with the sources: a toy that knows " +
      "ds4, sums and tools.",
    "",
    "commands:",
    ...commands.map((command) => `  ${command.name.padEnd(width)}${command.summary}`),
    "",
    "in a checkout, through ./ds4 only:",
    `  ${"test".padEnd(width)}house rules, lint, types and all tests`,
    `  ${"build".padEnd(width)}builds the native library`,
    "",
    "ds4 COMMAND --help shows a command's flags and examples.",
    "",
  ].join("\n")
}
