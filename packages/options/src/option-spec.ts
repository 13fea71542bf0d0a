import type { CommandName } from "./command-name.ts"

/** How the text of a value is read. */
type OptionKind =
  | "text"
  | "path"
  | "integer"
  | "number"
  | "size" // a whole number that may end in k, m or g: powers of 1024
  | "switch"
  | "choice"
  | "list"

/** The facts of an option that one command may state differently. */
export interface CommandDifference {
  /** The option's name on this command's line. */
  readonly spelling?: string
  readonly help?: string
  readonly default?: string | number
  readonly refusesEmpty?: boolean
}

/**
 * One option. Its key in the table is its flag (`--max-tokens`) and its key in ds4.toml; its
 * variable follows from it (`DS4_MAX_TOKENS`).
 */
export interface OptionSpec {
  readonly kind: OptionKind
  readonly help: string
  readonly commands: readonly CommandName[]
  /** The name of the value in help: `--ctx N`. */
  readonly value?: string
  /** One letter: `-c`. */
  readonly short?: string
  readonly default?: string | number
  readonly choices?: readonly string[]
  /** The value of a choice option that is given without `=value`. */
  readonly bare?: string
  readonly min?: number
  readonly max?: number
  /** Divides one text into several items of a list. Without it a text is one item. */
  readonly separator?: string
  /** An empty text is refused. Empty paths always are. */
  readonly refusesEmpty?: boolean
  /** The value is never printed. */
  readonly isSecret?: boolean
  readonly perCommand?: Readonly<Partial<Record<CommandName, CommandDifference>>>
}

/** A value of any option. */
export type RawValue = string | number | boolean | readonly string[]

type Base<S extends OptionSpec> = S["kind"] extends "switch"
  ? boolean
  : S["kind"] extends "integer" | "number" | "size"
    ? number
    : S["kind"] extends "list"
      ? readonly string[]
      : S["kind"] extends "choice"
        ? S extends { choices: readonly (infer C extends string)[] }
          ? C
          : string
        : string

/** A value as commands see it; undefined only without a default, and not for switches and lists. */
export type OptionValue<S extends OptionSpec> = S["kind"] extends "switch" | "list"
  ? Base<S>
  : S extends { default: string | number }
    ? Base<S>
    : Base<S> | undefined
