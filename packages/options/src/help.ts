import type { CommandName } from "./command-name.ts"
import { type OptionName, specOf, spelledOptions, variableOf } from "./option-table.ts"

const HELP_COLUMN = 28
const WIDTH = 100

interface HelpText {
  readonly command: CommandName
  /** The line that starts the program: "ds4 run [PROMPT] [FLAGS]". */
  readonly usage: string
  readonly summary: string
  /** Further paragraphs. */
  readonly details?: string
  readonly examples: readonly string[]
}

/** Help of one command: usage, its options, examples. */
export function helpOf({ command, usage, summary, details, examples }: HelpText): string {
  const flags = [...spelledOptions(command)].map(([spelled, name]) =>
    flagLines(spelled, name, command),
  )
  return [
    `usage: ${usage}`,
    "",
    summary,
    ...(details === undefined ? [] : ["", details]),
    "",
    "flags:",
    ...flags,
    "",
    "examples:",
    ...examples.map((example) => `  ${example}`),
    "",
    `Each flag can also be set by its variable (--ctx: ${variableOf("ctx")}) or in ds4.toml; ` +
      `see ds4 config.`,
    "",
  ].join("\n")
}

function flagLines(spelled: string, name: OptionName, command: CommandName): string {
  const spec = specOf(name, command)
  const value =
    spec.value === undefined ? "" : spec.bare === undefined ? ` ${spec.value}` : `[=${spec.value}]`
  const head = `  ${spec.short === undefined ? "    " : `-${spec.short}, `}--${spelled}${value}`
  const choices = spec.choices === undefined ? "" : ` (${spec.choices.join(", ")})`
  const fallback = spec.default === undefined ? "" : ` [${String(spec.default)}]`
  const gap =
    head.length < HELP_COLUMN
      ? " ".repeat(HELP_COLUMN - head.length)
      : `\n${" ".repeat(HELP_COLUMN)}`
  return `${head}${gap}${wrap(`${spec.help}${choices}${fallback}`)}`
}

/** Breaks text into lines that end before column WIDTH; later lines begin at HELP_COLUMN. */
function wrap(text: string): string {
  const lines: string[] = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH - HELP_COLUMN) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${" ".repeat(HELP_COLUMN)}`)
}
