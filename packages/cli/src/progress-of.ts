import { Progress } from "@ds4/progress"
import type { Io } from "./io.ts"

/** Shows progress of a command on stderr. Dispose of it before anything else is written there. */
export function progressOf(io: Io): Progress {
  const { err: write, columns } = io
  return new Progress({
    write,
    columns,
    isTerminal: io.isErrorTerminal && io.environment.TERM !== "dumb",
  })
}
