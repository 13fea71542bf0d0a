import { homedir } from "node:os"
import { join } from "node:path"

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The folder `ds4` in a base folder of the XDG specification. The base is the absolute path in
 * `variable`, else `fallback` in the home folder.
 */
export function xdgFolder(environment: Environment, variable: string, fallback: string): string {
  const value = environment[variable]
  const isUsable = value !== undefined && value.startsWith("/")
  return join(isUsable ? value : join(environment.HOME ?? homedir(), fallback), "ds4")
}

/** The folder in which the server keeps states of conversations, unless it is told another. */
export function kvFolder(environment: Environment): string {
  return join(xdgFolder(environment, "XDG_CACHE_HOME", ".cache"), "kv")
}

/** The folder of ds4.toml. */
export function configFolder(environment: Environment): string {
  return xdgFolder(environment, "XDG_CONFIG_HOME", ".config")
}
