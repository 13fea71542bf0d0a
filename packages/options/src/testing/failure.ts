import { OptionError } from "../option-error.ts"

/** The message of the OptionError that `run` throws, or a text that no test expects. */
export function failure(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return error instanceof OptionError ? error.message : `another error: ${String(error)}`
  }
  return "no error"
}
