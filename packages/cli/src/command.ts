import type { CommandName, CommandOptions, OptionSources } from "@ds4/options"
import type { ExitCode } from "./errors.ts"
import type { Io } from "./io.ts"

interface CommandContext<C extends CommandName> {
  /** The value of every option that the command takes. */
  readonly flags: CommandOptions<C>
  /** The places from which the values were read. */
  readonly sources: OptionSources
  readonly positionals: readonly string[]
  /** The words after the command's name, as they were typed. */
  readonly words: readonly string[]
  readonly io: Io
  /** Builds the native library when the checkout lacks it; call before the engine is loaded. */
  readonly prepareNative: () => void
  /** Builds the native benchmark programs when the checkout lacks them. */
  readonly prepareBenchmarks: () => void
}

interface CommandSpec<C extends CommandName> {
  readonly name: C
  /** The words after the name in the usage line. */
  readonly usage: string
  readonly summary: string
  /** Further paragraphs of help. */
  readonly details?: string
  readonly examples: readonly string[]
  /** Most positionals; more is a usage error. */
  readonly maxPositionals: number
  /** The words that a positional may be, where it is no text and no path. */
  readonly words?: readonly string[]
  run(context: CommandContext<C>): Promise<ExitCode>
}

/** A command with its name's type erased, as the dispatcher sees it. */
export type Command = Omit<CommandSpec<CommandName>, "run"> & {
  run(context: CommandContext<CommandName>): Promise<ExitCode>
}

/** Declares a command: the options that take its name become the type of `context.flags`. */
export function defineCommand<const C extends CommandName>(spec: CommandSpec<C>): Command {
  return {
    ...spec,
    // The dispatcher fills exactly the options of this command.
    run: (context) => spec.run(context as unknown as CommandContext<C>),
  }
}
