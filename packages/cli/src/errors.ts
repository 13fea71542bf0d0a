import { OptionError } from "@ds4/options"

/** Exit codes of every ds4 command. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  model: 3, // not found or not loadable
  memory: 4,
  unreachable: 5, // no server at the URL
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/**
 * An error whose message is meant for the person at the terminal, with the exit code that goes with
 * it.
 */
export class CliError extends Error {
  override readonly name = "CliError"
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** A mistake in the arguments that the option table cannot know. */
export function usageError(message: string): CliError {
  return new CliError(EXIT.usage, message)
}

/** Text of anything thrown, without a stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined
}

/**
 * The exit code for whatever a command threw: errors of the engine, of model files and of outputs
 * are known by their name and code.
 */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode
  if (error instanceof OptionError) return EXIT.usage
  const kind = error instanceof Error ? error.name : ""
  const code = codeOf(error)
  if (kind === "ModelFileError") return EXIT.model
  if (kind === "TokenizerError" && code !== "UNKNOWN_ID") return EXIT.model
  if (kind === "OutputError" && code !== "IO") return EXIT.usage
  if (kind === "EngineError") {
    if (code === "DEVICE_MEMORY") return EXIT.memory
    if (code === "FORMAT") return EXIT.model
    if (code === "CANCELLED") return EXIT.interrupted
  }
  return EXIT.failed
}
