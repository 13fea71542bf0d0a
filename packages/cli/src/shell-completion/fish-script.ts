import type { CompletedCommand } from "./completed-command.ts"

const quoted = (text: string): string =>
  `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`

/** How fish completes what stands behind a flag; -x: a value follows, which is no path. */
function valueOf({ value }: CompletedCommand["flags"][number]): string[] {
  if (value.kind === "none") return []
  if (value.kind === "path") return ["-r", "-F"]
  if (value.kind === "free") return ["-x"]
  return [value.isOptional ? "-f" : "-x", "-a", quoted(value.words.join(" "))]
}

function flagLines(within: string, { flags }: CompletedCommand): string[] {
  return flags.map((flag) =>
    [
      within,
      `-l ${flag.long}`,
      ...(flag.short === undefined ? [] : [`-s ${flag.short}`]),
      ...valueOf(flag),
      `-d ${quoted(flag.help)}`,
    ].join(" "),
  )
}

function commandLines(command: CompletedCommand): string[] {
  const { name, words, takesPaths } = command
  const within = `complete -c ds4 -n '__fish_seen_subcommand_from ${name}'`
  return [
    `${within} ${takesPaths ? "-F" : "-f"}`,
    ...(words.length === 0 ? [] : [`${within} -f -a ${quoted(words.join(" "))}`]),
    ...flagLines(within, command),
    // a line without a command is one of chat
    ...(name === "chat" ? flagLines("complete -c ds4 -n __fish_use_subcommand", command) : []),
  ]
}

/** A completion script for fish. */
export function fishScript(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name, summary }) => `-a ${name} -d ${quoted(summary)}`)
  return [
    "complete -c ds4 -f",
    ...names.map((each) => `complete -c ds4 -n __fish_use_subcommand -f ${each}`),
    `complete -c ds4 -n __fish_use_subcommand -f -a help -d 'help of a command'`,
    `complete -c ds4 -n '__fish_seen_subcommand_from help' -f -a ` +
      quoted(commands.map(({ name }) => name).join(" ")),
    ...commands.flatMap(commandLines),
    "",
  ].join("\n")
}
