// The dispatcher: finds the command, resolves its flags, runs it, turns errors into exit codes.
import {
  effectiveOption,
  effectiveOptions,
  impliedCommand,
  nearestName,
  parseArguments,
  withConfigFile,
} from "@ds4/options"
import type { Command } from "./command.ts"
import { COMMANDS } from "./commands/index.ts"
import { EXIT, exitCodeOf, messageOf, usageError, type ExitCode } from "./errors.ts"
import { commandHelp, programHelp } from "./help.ts"
import { processIo, quietIo, type Io } from "./io.ts"

export interface MainOptions {
  /** Builds the native library when it is missing; default: it is taken as built. */
  prepareNative?: () => void
  /** Builds the native benchmark programs; default: they are taken as built. */
  prepareBenchmarks?: () => void
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
  { prepareNative = () => {}, prepareBenchmarks = () => {} }: MainOptions,
): Promise<ExitCode> {
  const { values, positionals, notes } = parseArguments(rest, command.name)
  if (values.get("help") === true) {
    io.out(commandHelp(command))
    return EXIT.done
  }
  const extra = positionals[command.maxPositionals]
  if (extra !== undefined)
    throw usageError(`unexpected argument "${extra}" (ds4 ${command.name} --help)`)
  const sources = withConfigFile(values, io.environment)
  const isQuiet = effectiveOption("quiet", sources, command.name).value === true
  const shownIo = isQuiet ? quietIo(io) : io
  for (const note of notes) shownIo.err(`ds4: ${note}\n`)
  return await command.run({
    flags: effectiveOptions(command.name, sources),
    sources,
    positionals,
    words: rest,
    io: shownIo,
    prepareNative,
    prepareBenchmarks,
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
    return await runChosen(found, io, options)
  } catch (error) {
    io.err(`ds4: ${messageOf(error)}\n`)
    return exitCodeOf(error)
  }
}
