// The dispatcher: finds the command, resolves its flags, runs it, turns errors into exit codes.
import { spelledFlags, type Command } from "./command.ts"
import { COMMANDS } from "./commands/index.ts"
import { readConfigFile } from "./config/config-file.ts"
import { EXIT, exitCodeOf, messageOf, usageError, type ExitCode } from "./errors.ts"
import { effectiveValue, effectiveValues, type ValueSources } from "./flags/effective-values.ts"
import { commandHelp, programHelp } from "./flags/help.ts"
import { nearestName } from "./flags/nearest.ts"
import { impliedCommand } from "./flags/old-spellings.ts"
import { parseArguments } from "./flags/parse-arguments.ts"
import { processIo, type Io } from "./io.ts"

export interface MainOptions {
  /** Builds the native library when it is missing; default: it is taken as built. */
  prepareNative?: () => void
  io?: Io
}

interface Chosen {
  command: Command
  rest: readonly string[]
}

/** The command an argument list names or implies; undefined: the program's help was asked for. */
function choose(args: readonly string[], io: Io): Chosen | undefined {
  const [first, ...rest] = args
  const find = (name: string) => COMMANDS.find((command) => command.name === name)
  if (first === "--version" || first === "-V") return chosen("version", rest)
  if (first === "help") return rest[0] === undefined ? undefined : chosen(rest[0], ["--help"])
  if (first === "--help" || first === "-h") return undefined
  if (first === undefined)
    return io.isInputTerminal && io.isOutputTerminal ? chosen("chat", []) : undefined
  if (first.startsWith("-")) return chosen(impliedCommand(args) ?? "chat", args)
  return chosen(first, rest)

  function chosen(name: string, remaining: readonly string[]): Chosen {
    const command = find(name)
    if (command !== undefined) return { command, rest: remaining }
    const nearest = nearestName(
      name,
      COMMANDS.map((each) => each.name),
    )
    throw usageError(
      `there is no command "${name}"` +
        `${nearest === undefined ? "" : `; did you mean ds4 ${nearest}?`} (ds4 --help lists all)`,
    )
  }
}

async function runChosen(
  { command, rest }: Chosen,
  io: Io,
  prepareNative: () => void,
): Promise<ExitCode> {
  const parsed =
    command.passesArguments === true
      ? { values: new Map(), positionals: rest, notes: [] }
      : parseArguments(rest, spelledFlags(command))
  if (parsed.values.get("help") === true) {
    io.out(commandHelp(command))
    return EXIT.done
  }
  for (const note of parsed.notes) io.err(`ds4: ${note}\n`)
  if (command.passesArguments !== true && parsed.positionals.length > command.maxPositionals) {
    throw usageError(
      `unexpected argument "${parsed.positionals[command.maxPositionals] ?? ""}" (ds4 ` +
        `${command.name} --help)`,
    )
  }
  const withoutFile: ValueSources = {
    flags: parsed.values,
    environment: io.environment,
    file: undefined,
  }
  const named = effectiveValue("config", withoutFile).value
  const file = readConfigFile(typeof named === "string" ? named : undefined, io.environment)
  const flags = effectiveValues(command.flags, { ...withoutFile, file })
  return await command.run({
    flags,
    given: parsed.values,
    configFile: file,
    positionals: parsed.positionals,
    io,
    prepareNative,
  })
}

/**
 * Runs one ds4 command line and returns its exit code; never throws. Results go to stdout,
 * everything else to stderr.
 * @param args the words after the program's name
 */
export async function main(args: readonly string[], options: MainOptions = {}): Promise<ExitCode> {
  const io = options.io ?? processIo()
  try {
    const found = choose(args, io)
    if (found === undefined) {
      io.out(programHelp(COMMANDS))
      return EXIT.done
    }
    return await runChosen(found, io, options.prepareNative ?? (() => {}))
  } catch (error) {
    io.err(`ds4: ${messageOf(error)}\n`)
    return exitCodeOf(error)
  }
}
