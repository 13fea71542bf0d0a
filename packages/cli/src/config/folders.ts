import { homedir } from "node:os"
import { join } from "node:path"

type Environment = Readonly<Record<string, string | undefined>>

function base(environment: Environment, variable: string, fallback: string): string {
  const value = environment[variable]
  const isUsable = value !== undefined && value.startsWith("/")
  return join(isUsable ? value : join(environment.HOME ?? homedir(), fallback), "ds4")
}

/** Settings: ds4.toml. */
export function configFolder(environment: Environment): string {
  return base(environment, "XDG_CONFIG_HOME", ".config")
}

/**
 * What the program remembers: history and saved conversations. Nothing is written anywhere else
 * unasked.
 */
export function stateFolder(environment: Environment): string {
  return base(environment, "XDG_STATE_HOME", ".local/state")
}
