import { spelledOptions } from "@ds4/options"
import { type Command, defineCommand } from "../command.ts"
import { EXIT, usageError } from "../errors.ts"

/** Command name -> its flags, for the shells. */
function words(commands: readonly Command[]): [string, string[]][] {
  return commands.map((command) => [
    command.name,
    [...spelledOptions(command.name).keys()].map((flag) => `--${flag}`),
  ])
}

function bash(commands: readonly Command[]): string {
  const cases = words(commands)
    .map(([name, flags]) => `    ${name}) words="${flags.join(" ")}" ;;`)
    .join("\n")
  return `_ds4() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")}" -- "$current")); return
  fi
  case "\${COMP_WORDS[1]}" in
${cases}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}
complete -o filenames -F _ds4 ds4
`
}

function fish(commands: readonly Command[]): string {
  const names = commands.map(
    ({ name, summary }) =>
      `complete -c ds4 -n __fish_use_subcommand -f -a ${name} -d '` +
      `${summary.replaceAll("'", "\\'")}'`,
  )
  const flags = words(commands).flatMap(([name, list]) =>
    list.map(
      (flag) => `complete -c ds4 -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}`,
    ),
  )
  return `${[...names, ...flags].join("\n")}\n`
}

/** A completion script for a shell; throws a usage error for one that is not known. */
function completionScript(shell: string | undefined, commands: readonly Command[]): string {
  if (shell === "bash") return bash(commands)
  if (shell === "zsh") return `autoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`
  if (shell === "fish") return fish(commands)
  throw usageError("say ds4 completion bash, zsh or fish")
}

/** `commands` is asked for late: the list holds this command too. */
export function completionCommand(commands: () => readonly Command[]): Command {
  return defineCommand({
    name: "completion",
    usage: "bash|zsh|fish",
    summary: "prints a completion script for a shell",
    examples: [
      "source <(ds4 completion bash)",
      "ds4 completion fish > ~/.config/fish/completions/ds4.fish",
    ],
    maxPositionals: 1,
    run: async ({ positionals, io }) => {
      io.out(completionScript(positionals[0], commands()))
      return EXIT.done
    },
  })
}
