import { usageError } from "../errors.ts"
import type { FlagOrigin } from "./flag-spec.ts"
import { nearestName } from "./nearest.ts"
import { readValue, type RawValue } from "./read-value.ts"
import {
  FLAGS,
  isFlagName,
  specOf,
  variableOf,
  type FlagName,
  type FlagValues,
} from "./registry.ts"

export interface Effective {
  readonly value: RawValue | undefined
  readonly origin: FlagOrigin
  /** What exactly set it: a flag, a variable name or a file path. */
  readonly source: string
}

export interface ValueSources {
  readonly flags: ReadonlyMap<FlagName, RawValue>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The configuration file's path and its parsed content. */
  readonly file:
    | { readonly path: string; readonly values: Readonly<Record<string, unknown>> }
    | undefined
}

/** Reads a value of the configuration file, which has types of its own. */
function fileValue(path: string, name: FlagName, value: unknown): RawValue {
  const where = `"${name}" in ${path}`
  const spec = specOf(name)
  if (spec.kind === "list" && Array.isArray(value))
    return value.map((item: unknown) => String(readValue(where, spec, String(item))))
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return readValue(where, spec, String(value))
  throw usageError(`${where} is not a text, number, boolean or list`)
}

/** Refuses keys that are no flag, naming the nearest one. */
export function checkFileKeys(path: string, values: Readonly<Record<string, unknown>>): void {
  for (const key of Object.keys(values)) {
    if (isFlagName(key) && key !== "config" && key !== "help") continue
    const nearest = nearestName(key, Object.keys(FLAGS))
    throw usageError(
      `unknown setting "${key}" in ${path}` +
        `${nearest === undefined ? "" : `; did you mean "${nearest}"?`}`,
    )
  }
}

/** One flag's value by precedence: flag, then environment, then file, then default. */
export function effectiveValue(name: FlagName, sources: ValueSources): Effective {
  const given = sources.flags.get(name)
  if (given !== undefined) return { value: given, origin: "flag", source: `--${name}` }
  const variable = variableOf(name)
  const text = sources.environment[variable]
  if (text !== undefined && text !== "")
    return {
      value: readValue(variable, specOf(name), text),
      origin: "environment",
      source: variable,
    }
  if (sources.file !== undefined && Object.hasOwn(sources.file.values, name)) {
    return {
      value: fileValue(sources.file.path, name, sources.file.values[name]),
      origin: "file",
      source: sources.file.path,
    }
  }
  const spec = specOf(name)
  const fallback =
    spec.default ?? (spec.kind === "switch" ? false : spec.kind === "list" ? [] : undefined)
  return { value: fallback, origin: "default", source: "default" }
}

/** The values of all flags that a command takes. */
export function effectiveValues<N extends FlagName>(
  names: readonly N[],
  sources: ValueSources,
): FlagValues<N> {
  const entries = names.map((name) => [name, effectiveValue(name, sources).value] as const)
  // every value was read by its own flag's kind, which is what FlagValues derives its types from
  return Object.fromEntries(entries) as FlagValues<N>
}
