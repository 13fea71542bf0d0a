import { specOf, spelledOptions } from "@ds4/options"
import type { Command } from "../command.ts"

/** A flag takes no value, a path, one of some words, or something that no shell can guess. */
type FlagValue =
  | { readonly kind: "none" }
  | { readonly kind: "path" }
  | { readonly kind: "words"; readonly words: readonly string[]; readonly isOptional: boolean }
  | { readonly kind: "free" }

interface CompletedFlag {
  /** Without dashes. */
  readonly long: string
  readonly short: string | undefined
  readonly help: string
  readonly value: FlagValue
}

/** A command as the completion scripts of shells see it. */
export interface CompletedCommand {
  readonly name: string
  readonly summary: string
  readonly flags: readonly CompletedFlag[]
  /** Words that an argument may be. */
  readonly words: readonly string[]
  readonly takesPaths: boolean
}

export function completedCommands(commands: readonly Command[]): CompletedCommand[] {
  return commands.map(({ name, summary, maxPositionals, words = [] }) => ({
    name,
    summary,
    words,
    takesPaths: maxPositionals > 0 && words.length === 0,
    flags: [...spelledOptions(name)].map(([long, option]) => {
      const spec = specOf(option, name)
      return { long, short: spec.short, help: spec.help, value: valueOf(spec) }
    }),
  }))
}

function valueOf({ kind, choices, bare }: ReturnType<typeof specOf>): FlagValue {
  if (kind === "switch") return { kind: "none" }
  if (choices !== undefined)
    return { kind: "words", words: choices, isOptional: bare !== undefined }
  return { kind: kind === "path" ? "path" : "free" }
}
