import { readTextFlag } from "./answer-settings.ts"
import { usageError } from "./errors.ts"
import type { Io } from "./io.ts"

interface PromptSources {
  readonly positionals: readonly string[]
  readonly prompt?: string | undefined
  readonly file?: string | undefined
  readonly io: Io
}

/**
 * A text from arguments, --prompt, a file and standard input, in this order; piped input is
 * appended. "-" is stdin.
 */
export async function readPrompt({
  positionals,
  prompt,
  file,
  io,
}: PromptSources): Promise<string> {
  const parts = [
    ...(positionals.length > 0 && positionals.join(" ") !== "-" ? [positionals.join(" ")] : []),
    ...(prompt === undefined ? [] : [prompt]),
    ...(file === undefined || file === "-" ? [] : [readTextFlag("file", file)]),
  ]
  const wantsInput = parts.length === 0 || file === "-" || positionals.includes("-")
  const piped = wantsInput || !io.isInputTerminal ? await io.readInput() : ""
  const all = [...parts, ...(piped === "" ? [] : [piped])]
  if (all.length === 0)
    throw usageError("there is no text; give it as an argument, with -f FILE or through a pipe")
  return all.join("\n\n")
}
