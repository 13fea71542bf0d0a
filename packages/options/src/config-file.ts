import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { configFolder, type Environment } from "./folders.ts"
import { nearestName } from "./nearest-name.ts"
import { OptionError } from "./option-error.ts"
import type { RawValue } from "./option-spec.ts"
import { hasKey, isOptionName, OPTION_NAMES, type OptionName, specOf } from "./option-table.ts"
import { expectedOf, readValue } from "./read-value.ts"
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

/**
 * A value of the file as its option takes it. Text and numbers mean what they mean in a variable,
 * so that `temp = "0.5"`, `quiet = 1` and `quiet = "yes"` count.
 */
function settingOf(where: string, key: OptionName, value: unknown): RawValue {
  const spec = specOf(key)
  const at = `${where}: ${key}`
  const read = (each: string | number | boolean) => readValue(at, spec, String(each))
  if (isScalar(value)) return read(value)
  if (spec.kind === "list" && Array.isArray(value) && value.every(isScalar))
    return value.map(read).flat().map(String)
  throw new OptionError(`${at} is ${shown(value)}; expected ${expectedOf(spec)}`)
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
}

function shown(value: unknown): string {
  return isTable(value) ? "a section" : (JSON.stringify(value) ?? String(value))
}
