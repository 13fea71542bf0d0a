import type { CommandName } from "./command-name.ts"
import { nearestName } from "./nearest-name.ts"
import { COMMAND_SWITCHES, OLD_SPELLINGS, RETIRED } from "./old-spellings.ts"
import { OptionError } from "./option-error.ts"
import type { RawValue } from "./option-spec.ts"
import { isOptionName, type OptionName, specOf, spelledOptions } from "./option-table.ts"
import { readValue } from "./read-value.ts"

interface ParsedArguments {
  readonly values: ReadonlyMap<OptionName, RawValue>
  readonly positionals: readonly string[]
  /** Remarks for stderr: retired flags that were ignored. */
  readonly notes: readonly string[]
}

/** The option that a word such as `--ctx=64k`, `-n` or `--nothink` means. */
interface Meant {
  readonly name: OptionName
  /** The spelling of the option in this command, for messages. */
  readonly spelled: string
  /** The value given with `=`, or fixed by an old spelling. */
  readonly inline: string | undefined
  readonly takesNext: boolean
}

function isFlagWord(word: string): boolean {
  return word.startsWith("-") && word !== "-" && !/^-\d/.test(word)
}

/** Splits an argument list into option values and positionals. A lone `--` ends the options. */
export function parseArguments(args: readonly string[], command: CommandName): ParsedArguments {
  const values = new Map<OptionName, RawValue>()
  const positionals: string[] = []
  const notes: string[] = []
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? ""
    if (word === "--") {
      positionals.push(...args.slice(index + 1))
      break
    }
    const retired = RETIRED.get(word)
    if (retired !== undefined) {
      notes.push(`${word} has no effect: ${retired.note}`)
      index += retired.values
    } else if (!isFlagWord(word)) positionals.push(word)
    else if (!COMMAND_SWITCHES.has(word)) {
      const { name, value, consumed } = readFlag(meaningOf(word, command), args[index + 1], command)
      const before = values.get(name)
      values.set(
        name,
        Array.isArray(value) && Array.isArray(before) ? [...before, ...value] : value,
      )
      index += consumed
    }
  }
  return { values, positionals, notes }
}

/** The option that a word means. Throws OptionError if the command has none such. */
function meaningOf(word: string, command: CommandName): Meant {
  const options = spelledOptions(command)
  const equals = word.indexOf("=")
  const typed = equals === -1 ? word : word.slice(0, equals)
  const inline = equals === -1 ? undefined : word.slice(equals + 1)
  const old = OLD_SPELLINGS.get(typed)
  const current = [...options].find(([, name]) => name === old?.option)
  if (old !== undefined && current !== undefined) {
    const [spelled, name] = current
    return { name, spelled, inline: old.value ?? inline, takesNext: old.takesNext === true }
  }
  const found = typed.startsWith("--")
    ? [...options].find(([spelled]) => spelled === typed.slice(2))
    : [...options].find(([, name]) => specOf(name).short === typed.slice(1))
  if (found === undefined) throw unknownFlag(typed, options.keys())
  return { name: found[1], spelled: found[0], inline, takesNext: false }
}

function unknownFlag(typed: string, known: Iterable<string>): OptionError {
  const name = typed.replace(/^-+/, "")
  if (isOptionName(name))
    return new OptionError(`unknown flag ${typed}; this command does not take it`)
  const nearest = nearestName(name, known)
  return new OptionError(
    `unknown flag ${typed}${nearest === undefined ? "" : `; did you mean --${nearest}?`}`,
  )
}

interface ReadFlag {
  readonly name: OptionName
  readonly value: RawValue
  /** Words after the flag that belong to it. */
  readonly consumed: 0 | 1
}

function readFlag(
  { name, spelled, inline, takesNext }: Meant,
  next: string | undefined,
  command: CommandName,
): ReadFlag {
  const spec = specOf(name, command)
  const implied = takesNext ? undefined : spec.kind === "switch" ? "true" : spec.bare
  const text = inline ?? implied ?? next
  if (text === undefined)
    throw new OptionError(`--${spelled} needs a value: --${spelled} ${spec.value ?? "VALUE"}`)
  return {
    name,
    value: readValue(`--${spelled}`, spec, text),
    consumed: inline === undefined && implied === undefined ? 1 : 0,
  }
}
