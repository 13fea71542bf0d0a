import { OptionError } from "./option-error.ts"
import type { OptionSpec, RawValue } from "./option-spec.ts"

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1024,
  m: 1_048_576,
  g: 1_073_741_824,
}

/** The values that an option accepts, in words: "a whole number from 0 to 65535". */
export function expectedOf(spec: OptionSpec): string {
  if (spec.choices !== undefined) return `one of ${spec.choices.join(", ")}`
  switch (spec.kind) {
    case "integer":
    case "size":
      return `a whole number${rangeOf(spec)}`
    case "number":
      return `a number${rangeOf(spec)}`
    case "switch":
      return "1 or 0"
    case "list":
      return "a list of texts"
    case "path":
      return "a path"
    case "text":
    case "choice":
      return spec.value ?? "text"
  }
}

function rangeOf({ min, max }: OptionSpec): string {
  if (max !== undefined) return ` from ${min ?? 0} to ${max}`
  return min === undefined ? "" : ` of at least ${min}`
}

/** Whether a number is one that the option accepts. */
function isInRange(spec: OptionSpec, value: number): boolean {
  const isWhole = spec.kind === "number" || Number.isSafeInteger(value)
  return isWhole && value >= (spec.min ?? -Infinity) && value <= (spec.max ?? Infinity)
}

function numberOf(spec: OptionSpec, text: string): number {
  const size = spec.kind === "size" ? /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text.trim()) : null
  if (size !== null) return Number(size[1]) * (SIZE_UNITS[(size[2] ?? "").toLowerCase()] ?? 1)
  return text.trim() === "" ? Number.NaN : Number(text)
}

const ON: readonly string[] = ["1", "true", "yes", "on"]
const OFF: readonly string[] = ["0", "false", "no", "off", ""]

/** Reads a value's text; `where` names the flag or variable in messages. Throws OptionError. */
export function readValue(where: string, spec: OptionSpec, text: string): RawValue {
  const refuse = () => new OptionError(`${where} is "${text}"; expected ${expectedOf(spec)}`)
  switch (spec.kind) {
    case "switch": {
      const word = text.toLowerCase()
      if (ON.includes(word)) return true
      if (OFF.includes(word)) return false
      throw refuse()
    }
    case "integer":
    case "number":
    case "size": {
      const value = numberOf(spec, text)
      if (isInRange(spec, value)) return value
      throw refuse()
    }
    case "list": {
      const items = itemsOf(spec, text)
      if (spec.choices !== undefined && !items.every((item) => spec.choices?.includes(item)))
        throw refuse()
      return items
    }
    case "choice":
      if (spec.choices?.includes(text) === true) return text
      throw refuse()
    case "text":
    case "path":
      if (text !== "" || (spec.kind === "text" && spec.refusesEmpty !== true)) return text
      throw new OptionError(`${where} is empty; expected ${expectedOf(spec)}`)
  }
}

function itemsOf({ separator }: OptionSpec, text: string): readonly string[] {
  if (separator === undefined) return [text]
  return text
    .split(separator)
    .map((item) => item.trim())
    .filter((item) => item !== "")
}
