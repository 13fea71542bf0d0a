import { invalid } from "../http/api-error.ts"
import { shownValue } from "../http/shown-value.ts"
import type { FieldTable } from "./field.ts"

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
    if (why !== undefined)
      throw invalid(`${name} ${shownValue(value)} is not supported: ${why}`, name)
  }
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
