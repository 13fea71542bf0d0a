import { usageError } from "../errors.ts"
import type { FlagSpec } from "./flag-spec.ts"

export type RawValue = string | number | boolean | readonly string[]

const SIZE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1_048_576 }

function readNumber(where: string, spec: FlagSpec, text: string): number {
  const size = spec.kind === "size" ? /^(\d+(?:\.\d+)?)([km]?)$/i.exec(text.trim()) : undefined
  const value = size
    ? Number(size[1]) * (SIZE_UNITS[(size[2] ?? "").toLowerCase()] ?? 1)
    : text.trim() === ""
      ? Number.NaN
      : Number(text)
  const isWhole = spec.kind === "number" || Number.isSafeInteger(value)
  const isInRange = value >= (spec.min ?? -Infinity) && value <= (spec.max ?? Infinity)
  if (!Number.isNaN(value) && isWhole && isInRange) return value
  const kind = spec.kind === "number" ? "a number" : "a whole number"
  const range =
    spec.max !== undefined
      ? ` from ${spec.min ?? 0} to ${spec.max}`
      : spec.min !== undefined
        ? ` of at least ${spec.min}`
        : ""
  throw usageError(`${where} is "${text}"; expected ${kind}${range}`)
}

function readSwitch(where: string, text: string): boolean {
  if (["1", "true", "yes", "on"].includes(text.toLowerCase())) return true
  if (["0", "false", "no", "off", ""].includes(text.toLowerCase())) return false
  throw usageError(`${where} is "${text}"; expected 1 or 0`)
}

function checkChoice(where: string, spec: FlagSpec, text: string): string {
  if (spec.choices === undefined || spec.choices.includes(text)) return text
  throw usageError(`${where} is "${text}"; expected one of ${spec.choices.join(", ")}`)
}

/**
 * Reads a flag's text; `where` names the flag, variable or file key in messages. Throws a usage
 * error.
 */
export function readValue(where: string, spec: FlagSpec, text: string): RawValue {
  if (spec.kind === "switch") return readSwitch(where, text)
  if (spec.kind === "integer" || spec.kind === "number" || spec.kind === "size")
    return readNumber(where, spec, text)
  if (spec.kind === "list") return [checkChoice(where, spec, text)]
  if (spec.kind === "path" && text === "") throw usageError(`${where} is empty; expected a path`)
  return checkChoice(where, spec, text)
}
