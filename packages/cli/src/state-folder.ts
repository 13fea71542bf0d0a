import { type Environment, xdgFolder } from "@ds4/options"

/** The folder of history and saved conversations. Nothing is written anywhere else unasked. */
export function stateFolder(environment: Environment): string {
  return xdgFolder(environment, "XDG_STATE_HOME", ".local/state")
}
