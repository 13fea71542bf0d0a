import { usageError } from "../errors.ts"
import { nearestName } from "./nearest.ts"
import { COMMAND_SWITCHES, OLD_SPELLINGS, RETIRED } from "./old-spellings.ts"
import { readValue, type RawValue } from "./read-value.ts"
import { isFlagName, specOf, type FlagName } from "./registry.ts"

export interface ParsedArguments {
  readonly values: ReadonlyMap<FlagName, RawValue>
  readonly positionals: readonly string[]
  /** Remarks for stderr: retired flags that were ignored. */
  readonly notes: readonly string[]
}

interface Taken {
  flag: FlagName
  /** The value given with `=`, or fixed by an old spelling. */
  inline: string | undefined
  takesNext: boolean
}

/** The flags that a command takes, under the names that it gives them. */
export type SpelledFlags = ReadonlyMap<string, FlagName>

function flagOfShort(name: string, allowed: SpelledFlags): FlagName | undefined {
  return [...allowed.values()].find((flag) => specOf(flag).short === name)
}

/**
 * Which flag a word such as `--ctx=64k`, `-n` or `--nothink` means; throws when the command has
 * none such.
 */
function resolve(word: string, allowed: SpelledFlags): Taken {
  const isTaken = (wanted: FlagName) => [...allowed.values()].includes(wanted)
  const equals = word.indexOf("=")
  const spelled = equals === -1 ? word : word.slice(0, equals)
  const given = equals === -1 ? undefined : word.slice(equals + 1)
  const old = OLD_SPELLINGS.get(spelled)
  if (old !== undefined && isTaken(old.flag))
    return { flag: old.flag, inline: old.value ?? given, takesNext: old.takesNext === true }
  const name = spelled.replace(/^-+/, "")
  const flag = spelled.startsWith("--") ? allowed.get(name) : flagOfShort(name, allowed)
  if (flag !== undefined) return { flag, inline: given, takesNext: false }
  const isElsewhere = isFlagName(name)
  const nearest = nearestName(name, allowed.keys())
  const hint =
    nearest !== undefined && !isElsewhere
      ? `; did you mean --${nearest}?`
      : isElsewhere
        ? "; this command does not take it"
        : ""
  throw usageError(`unknown flag ${spelled}${hint}`)
}

function isFlagWord(word: string): boolean {
  return word.startsWith("-") && word !== "-" && !/^-\d/.test(word)
}

/** Splits an argument list into flag values and positionals. A lone `--` ends the flags. */
export function parseArguments(args: readonly string[], allowed: SpelledFlags): ParsedArguments {
  const values = new Map<FlagName, RawValue>()
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
    } else if (isFlagWord(word)) {
      if (COMMAND_SWITCHES.has(word)) continue
      index += take(word, args[index + 1])
    } else {
      positionals.push(word)
    }
  }
  return { values, positionals, notes }

  /** Stores one flag; returns how many further words it consumed. */
  function take(word: string, next: string | undefined): 0 | 1 {
    const { flag, inline, takesNext } = resolve(word, allowed)
    const spec = specOf(flag)
    const implied = takesNext ? undefined : spec.kind === "switch" ? "true" : spec.bare
    const text = inline ?? implied ?? next
    if (text === undefined)
      throw usageError(`--${flag} needs a value: --${flag} ${spec.value ?? "VALUE"}`)
    const value = readValue(`--${flag}`, spec, text)
    const earlier = values.get(flag)
    values.set(
      flag,
      Array.isArray(value) && Array.isArray(earlier) ? [...earlier, ...value] : value,
    )
    return inline === undefined && implied === undefined ? 1 : 0
  }
}
