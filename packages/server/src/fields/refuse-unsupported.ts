import { type ApiError, invalid } from "../http/api-error.ts"
import type { FieldTable } from "./field.ts"

/** A value as it stands in messages, at most this many characters. */
const MAX_SHOWN = 120

/**
 * Refuses the first field whose value asks for what is not done here: 400 with its name and the
 * reason.
 * @throws ApiError
 */
export function refuseUnsupported(fields: FieldTable, body: object): void {
  for (const [name, field] of Object.entries(fields)) {
    if (field.use === "ignored") continue
    const value = valueAt(body, name)
    if (value === undefined || value === null) continue
    const why = field.refusal(value)
    if (why !== undefined) throw notSupported(name, value, why)
  }
}

function notSupported(name: string, value: unknown, why: string): ApiError {
  const json = JSON.stringify(value) ?? "nothing"
  const shown = json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN)}…` : json
  return invalid(`${name} ${shown} is not supported: ${why}`, name)
}

/** The value at a name with dots, of own properties only. */
function valueAt(body: object, name: string): unknown {
  let value: unknown = body
  for (const part of name.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string, unknown>)[part]
  }
  return value
}
