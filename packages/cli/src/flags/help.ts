import { spelledFlags, type Command } from "../command.ts"
import { specOf, variableOf, type FlagName } from "./registry.ts"

const HELP_COLUMN = 28

function flagLine(spelled: string, name: FlagName): string {
  const spec = specOf(name)
  const value =
    spec.value === undefined ? "" : spec.bare === undefined ? ` ${spec.value}` : `[=${spec.value}]`
  const head = `  ${spec.short === undefined ? "    " : `-${spec.short}, `}--${spelled}${value}`
  const choices = spec.choices === undefined ? "" : ` (${spec.choices.join(", ")})`
  const fallback =
    spec.default === undefined || spec.default === "" ? "" : ` [${String(spec.default)}]`
  const text = `${spec.help}${choices}${fallback}`
  const gap =
    head.length < HELP_COLUMN
      ? " ".repeat(HELP_COLUMN - head.length)
      : `\n${" ".repeat(HELP_COLUMN)}`
  return `${head}${gap}${wrap(text, 100 - HELP_COLUMN, HELP_COLUMN)}`
}

/** Breaks text into lines of at most `width` columns, later lines indented. */
function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === "" ? word : `${line} ${word}`
    }
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`)
}

/** Help of one command. */
export function commandHelp(command: Command): string {
  const flags = [...spelledFlags(command)].map(([spelled, name]) => flagLine(spelled, name))
  const details = command.details === undefined ? [] : ["", command.details]
  return [
    `usage: ds4 ${command.name}${command.usage === "" ? "" : ` ${command.usage}`}`,
    "",
    command.summary,
    ...details,
    "",
    "flags:",
    ...flags,
    "",
    "examples:",
    ...command.examples.map((example) => `  ${example}`),
    "",
    `Each flag can also be set by its variable (--ctx: ${variableOf("ctx")}) or in ds4.toml; ` +
      `see ds4 config.`,
    "",
  ].join("\n")
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
