import { type Command, defineCommand } from "../command.ts"
import { EXIT, usageError } from "../errors.ts"
import { bashScript } from "../shell-completion/bash-script.ts"
import { completedCommands } from "../shell-completion/completed-command.ts"
import { fishScript } from "../shell-completion/fish-script.ts"

/** zsh's own completion, which a plain start-up file has not loaded, and the bridge to bash's. */
const ZSH_SETUP = `(( \${+functions[compdef]} )) || { autoload -U compinit && compinit; }
autoload -U +X bashcompinit && bashcompinit
`

/** A completion script for a shell; throws a usage error for one that is not known. */
function completionScript(shell: string | undefined, commands: readonly Command[]): string {
  const completed = completedCommands(commands)
  if (shell === "bash") return bashScript(completed)
  if (shell === "zsh") return `${ZSH_SETUP}${bashScript(completed)}`
  if (shell === "fish") return fishScript(completed)
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
      "source <(ds4 completion zsh)",
      "ds4 completion fish > ~/.config/fish/completions/ds4.fish",
    ],
    maxPositionals: 1,
    words: ["bash", "zsh", "fish"],
    run: async ({ positionals, io }) => {
      io.out(completionScript(positionals[0], commands()))
      return EXIT.done
    },
  })
}
