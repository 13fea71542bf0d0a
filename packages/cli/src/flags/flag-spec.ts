/** What a flag's value is and how its text is read. */
export type FlagKind =
  | "text"
  | "path"
  | "integer"
  | "number"
  | "size"
  | "switch"
  | "choice"
  | "list"

export interface FlagSpec {
  readonly kind: FlagKind
  readonly help: string
  /** How the value is called in help: `--ctx N`. */
  readonly value?: string
  readonly short?: string
  readonly default?: string | number | boolean
  readonly choices?: readonly string[]
  /** A choice flag given without `=value` means this. */
  readonly bare?: string
  readonly min?: number
  readonly max?: number
}

type Base<S extends FlagSpec> = S["kind"] extends "switch"
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

/** The value a command sees: never undefined for switches, lists and flags that have a default. */
export type FlagValue<S extends FlagSpec> = S["kind"] extends "switch" | "list"
  ? Base<S>
  : S extends { default: string | number }
    ? Base<S>
    : Base<S> | undefined

/** Where an effective value came from. */
export type FlagOrigin = "flag" | "environment" | "file" | "default"
