import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { messageOf, usageError } from "../errors.ts"
import { checkFileKeys } from "../flags/effective-values.ts"
import { configFolder } from "./folders.ts"

export interface ConfigFile {
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
}

/** Where settings are read from unless --config names a file. */
export function defaultConfigPath(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return join(configFolder(environment), "ds4.toml")
}

/** Reads ds4.toml. `named` comes from --config and must exist; the default file need not. */
export function readConfigFile(
  named: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): ConfigFile | undefined {
  const path = named ?? defaultConfigPath(environment)
  if (!existsSync(path)) {
    if (named === undefined) return undefined
    throw usageError(`there is no configuration file ${path}`)
  }
  let parsed: unknown
  try {
    parsed = Bun.TOML.parse(readFileSync(path, "utf8"))
  } catch (error) {
    throw usageError(`${path} is not valid TOML: ${messageOf(error)}`)
  }
  const values = parsed as Record<string, unknown> // a TOML document is a table by definition
  checkFileKeys(path, values)
  return { path, values }
}
