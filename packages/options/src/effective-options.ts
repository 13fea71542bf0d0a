import type { CommandName } from "./command-name.ts"
import { type ConfigFile, readConfigFile } from "./config-file.ts"
import type { Environment } from "./folders.ts"
import { OptionError } from "./option-error.ts"
import type { RawValue } from "./option-spec.ts"
import {
  type CommandOptions,
  hasKey,
  hasVariable,
  type OptionName,
  specOf,
  spelledOptions,
  variableOf,
} from "./option-table.ts"
import { readValue } from "./read-value.ts"

/** The kinds of places that set an option, the strongest first. */
type OptionOrigin = "flag" | "environment" | "file" | "default"

export interface EffectiveOption {
  readonly value: RawValue | undefined
  readonly origin: OptionOrigin
  /** The place itself: a flag, a variable, or a line of a file. */
  readonly source: string
}

export interface OptionSources {
  /** The options given on the command line. */
  readonly flags: ReadonlyMap<OptionName, RawValue>
  readonly environment: Environment
  readonly file: ConfigFile | undefined
}

/**
 * One option's value by precedence: flag, then variable, then ds4.toml, then default. Without a
 * command the value is what all commands see that state nothing of their own.
 */
export function effectiveOption(
  name: OptionName,
  { flags, environment, file }: OptionSources,
  command?: CommandName,
): EffectiveOption {
  const spec = specOf(name, command)
  const given = flags.get(name)
  if (given !== undefined) return { value: given, origin: "flag", source: `--${name}` }
  const variable = variableOf(name)
  const text = hasVariable(name) ? environment[variable] : undefined
  if (text !== undefined && text !== "")
    return {
      value: readValue(variable, spec, text),
      origin: "environment",
      source: variable,
    }
  const setting = hasKey(name) ? file?.values.get(name) : undefined
  if (setting !== undefined && file !== undefined) {
    const source = `${file.path}:${file.lines.get(name) ?? 1}`
    if (setting === "" && spec.refusesEmpty === true)
      throw new OptionError(`${source}: ${name} is empty; expected ${spec.value ?? "text"}`)
    return { value: setting, origin: "file", source }
  }
  return { value: defaultOf(name, command), origin: "default", source: "default" }
}

function defaultOf(name: OptionName, command: CommandName | undefined): RawValue | undefined {
  const spec = specOf(name, command)
  if (spec.default !== undefined) return spec.default
  if (spec.kind === "switch") return false
  return spec.kind === "list" ? [] : undefined
}

/** The values of all options that a command takes. */
export function effectiveOptions<C extends CommandName>(
  command: C,
  sources: OptionSources,
): CommandOptions<C> {
  const names = [...spelledOptions(command).values()]
  const entries = names.map(
    (name) => [name, effectiveOption(name, sources, command).value] as const,
  )
  // Each value was read by the kind of its own option, from which CommandOptions derives its types.
  return Object.fromEntries(entries) as CommandOptions<C>
}

/** Reads the file that --config or DS4_CONFIG names, else ds4.toml in its folder if it is there. */
export function withConfigFile(
  flags: OptionSources["flags"],
  environment: Environment,
): OptionSources {
  const sources: OptionSources = { flags, environment, file: undefined }
  const named = effectiveOption("config", sources).value
  return {
    ...sources,
    file: readConfigFile(typeof named === "string" ? named : undefined, environment),
  }
}

/** The values that a command has when nothing is set anywhere. */
export function defaultOptions<C extends CommandName>(command: C): CommandOptions<C> {
  return effectiveOptions(command, { flags: new Map(), environment: {}, file: undefined })
}
