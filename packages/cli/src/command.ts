import type { ExitCode } from "./errors.ts"
import type { ConfigFile } from "./config/config-file.ts"
import type { RawValue } from "./flags/read-value.ts"
import { COMMON_FLAGS, type FlagName, type FlagValues } from "./flags/registry.ts"
import type { Io } from "./io.ts"

export interface CommandContext<N extends FlagName> {
  readonly flags: FlagValues<N>
  /** Flags as given on the command line, without environment and file. */
  readonly given: ReadonlyMap<FlagName, RawValue>
  readonly configFile: ConfigFile | undefined
  readonly positionals: readonly string[]
  readonly io: Io
  /** Builds the native library when the checkout lacks it; call before the engine is loaded. */
  readonly prepareNative: () => void
}

export interface CommandSpec<N extends FlagName> {
  readonly name: string
  /** What follows the name in the usage line. */
  readonly usage: string
  readonly summary: string
  /** Further paragraphs of help. */
  readonly details?: string
  readonly examples: readonly string[]
  readonly flags: readonly N[]
  /** Flags that carry another name in this command: spelling -> flag. */
  readonly renamed?: Readonly<Record<string, N>>
  /** Most positionals; more is a usage error. */
  readonly maxPositionals: number
  /** All arguments are another program's: they arrive unread as positionals. */
  readonly passesArguments?: boolean
  run(context: CommandContext<N>): Promise<ExitCode>
}

/** A command with its flag names erased, as the dispatcher sees it. */
export interface Command {
  readonly name: string
  readonly usage: string
  readonly summary: string
  readonly details?: string
  readonly examples: readonly string[]
  readonly flags: readonly FlagName[]
  readonly renamed: Readonly<Record<string, FlagName>>
  readonly maxPositionals: number
  readonly passesArguments?: boolean
  run(context: CommandContext<FlagName>): Promise<ExitCode>
}

/**
 * Declares a command: its flags become the type of `context.flags`, and every command takes
 * --config and --help.
 */
export function defineCommand<const N extends FlagName>(spec: CommandSpec<N>): Command {
  return {
    ...spec,
    flags: [...spec.flags, ...COMMON_FLAGS],
    renamed: spec.renamed ?? {},
    // the dispatcher fills exactly spec.flags
    run: (context) => spec.run(context as unknown as CommandContext<N>),
  }
}

/** Spelled name -> flag for one command. */
export function spelledFlags(command: Command): Map<string, FlagName> {
  const renamed = new Set(Object.values(command.renamed))
  const plain = command.flags
    .filter((flag) => !renamed.has(flag))
    .map((flag) => [flag, flag] as const)
  return new Map<string, FlagName>([...plain, ...Object.entries(command.renamed)])
}
