import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { configFolder, type Environment } from "./folders.ts"
import { nearestName } from "./nearest-name.ts"
import { OptionError } from "./option-error.ts"
import type { OptionSpec, RawValue } from "./option-spec.ts"
import { hasKey, isOptionName, OPTION_NAMES, type OptionName, specOf } from "./option-table.ts"
import { expectedOf, isInRange, readValue } from "./read-value.ts"
import { faultyLine, topLevelLines } from "./toml-lines.ts"

export interface ConfigFile {
  readonly path: string
  readonly values: ReadonlyMap<OptionName, RawValue>
  /** The line of each key, from 1. */
  readonly lines: ReadonlyMap<string, number>
}

/** Where settings are read from unless --config names a file. */
export function defaultConfigPath(environment: Environment): string {
  return join(configFolder(environment), "ds4.toml")
}

/**
 * Reads ds4.toml. `named` comes from --config or DS4_CONFIG and must exist; the default file need
 * not. Throws OptionError naming file, line and key.
 */
export function readConfigFile(
  named: string | undefined,
  environment: Environment,
): ConfigFile | undefined {
  const path = named ?? defaultConfigPath(environment)
  if (existsSync(path)) return parseConfig(path, readFileSync(path, "utf8"))
  if (named === undefined) return undefined
  throw new OptionError(`there is no configuration file ${path}`)
}

/** Reads the text of a configuration file; `path` names it in messages. */
export function parseConfig(path: string, text: string): ConfigFile {
  const lines = topLevelLines(text)
  const values = new Map<OptionName, RawValue>()
  for (const [key, value] of Object.entries(parseToml(path, text))) {
    const where = `${path}:${lines.get(key) ?? 1}`
    if (!isOptionName(key) || !hasKey(key)) throw unknownKey(where, key, value)
    values.set(key, settingOf(where, key, value))
  }
  return { path, values, lines }
}

function parseToml(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return Bun.TOML.parse(text) as Record<string, unknown> // a TOML document is a table
  } catch (error) {
    throw new OptionError(
      `${path}:${faultyLine(text)} is not valid TOML: ` +
        `${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

function unknownKey(where: string, key: string, value: unknown): OptionError {
  if (isTable(value))
    return new OptionError(
      `${where}: unknown section [${key}]; keys stand at the top without sections: port = 9000`,
    )
  const nearest = nearestName(key, OPTION_NAMES.filter(hasKey))
  return new OptionError(
    `${where}: unknown key "${key}"` +
      (nearest === undefined ? "; ds4 config lists all keys" : `; did you mean "${nearest}"?`),
  )
}

function isTable(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** A value of the file, which has types of its own, as its option takes it. */
function settingOf(where: string, key: OptionName, value: unknown): RawValue {
  const spec = specOf(key)
  if (isOfKind(spec, value)) {
    if (typeof value === "string") return readValue(`${where}: ${key}`, spec, value)
    return value
  }
  throw new OptionError(
    `${where}: ${key} is ${shown(value)}; expected ` +
      `${spec.kind === "switch" ? "true or false" : expectedOf(spec)}`,
  )
}

function isOfKind(spec: OptionSpec, value: unknown): value is RawValue {
  switch (spec.kind) {
    case "switch":
      return typeof value === "boolean"
    case "integer":
    case "number":
      return typeof value === "number" && isInRange(spec, value)
    case "size":
      return typeof value === "string" || (typeof value === "number" && isInRange(spec, value))
    case "list":
      return typeof value === "string" || isListOf(spec, value)
    case "text":
    case "path":
    case "choice":
      return typeof value === "string"
  }
}

function isListOf({ choices }: OptionSpec, value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((item) => typeof item === "string" && (choices?.includes(item) ?? true))
  )
}

function shown(value: unknown): string {
  return isTable(value) ? "a section" : (JSON.stringify(value) ?? String(value))
}
