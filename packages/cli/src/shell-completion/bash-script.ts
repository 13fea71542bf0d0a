import type { CompletedCommand } from "./completed-command.ts"

type Flag = CompletedCommand["flags"][number]

const spelled = ({ long, short }: Flag): string[] =>
  short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`]

/** The cases of the flags of a command that a value follows. */
function valueCases(flags: readonly Flag[]): string[] {
  const named = (kind: Flag["value"]["kind"]): string =>
    flags
      .filter(({ value }) => value.kind === kind)
      .flatMap(spelled)
      .join("|")
  const words = flags.flatMap((flag) =>
    flag.value.kind === "words"
      ? [{ flag, words: flag.value.words.join(" "), isOptional: flag.value.isOptional }]
      : [],
  )
  return [
    ...words.map(({ flag, words: list, isOptional }) => {
      // a value that may be left out stands behind an equals sign only
      const test = isOptional ? '[[ -n "$joined" ]] && ' : ""
      return `      ${spelled(flag).join("|")}) ${test}{ _ds4_words "${list}"; return; } ;;`
    }),
    ...(named("path") === "" ? [] : [`      ${named("path")}) _ds4_files; return ;;`]),
    ...(named("free") === "" ? [] : [`      ${named("free")}) return ;;`]),
  ]
}

function commandCase({ name, flags, words, takesPaths }: CompletedCommand): string {
  const positional = [
    ...(words.length === 0 ? [] : [`_ds4_words "${words.join(" ")}"`]),
    ...(takesPaths ? ["_ds4_files"] : []),
  ]
  return [
    `    ${name})`,
    `      case "$previous" in`,
    ...valueCases(flags).map((line) => `  ${line}`),
    `      esac`,
    `      if [[ "$current" == -* ]]; then _ds4_words "${flags.flatMap(spelled).join(" ")}"`,
    `      else ${positional[0] ?? ":"}; fi ;;`,
  ].join("\n")
}

/** A completion script for bash, which zsh reads through its bashcompinit. */
export function bashScript(commands: readonly CompletedCommand[]): string {
  const names = [...commands.map(({ name }) => name), "help"].join(" ")
  return `_ds4_words() { COMPREPLY=($(compgen -P "$prefix" -W "$1" -- "$current")); }
_ds4_files() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -P "$prefix" -f -- "$current"))
  compopt -o filenames 2>/dev/null
}
_ds4() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="\${COMP_WORDS[1]}" prefix="" joined=""
  COMPREPLY=()
  if [[ "$current" == --*=* ]]; then # one word where = divides none
    previous="\${current%%=*}" prefix="\${current%%=*}=" joined=1
    current="\${current#*=}"
  elif [[ "$current" == "=" ]]; then current="" joined=1
  elif [[ "$previous" == "=" ]]; then previous="\${COMP_WORDS[COMP_CWORD-2]}" joined=1
  fi
  if [[ "$COMP_CWORD" -eq 1 && "$current" != -* ]]; then _ds4_words "${names}"; return; fi
  case "$command" in
    -*) command=chat ;;
    help) _ds4_words "${names}"; return ;;
  esac
  case "$command" in
${commands.map(commandCase).join("\n")}
  esac
}
complete -F _ds4 ds4
`
}
