// Typed access to bodies of unknown shape; every refusal names the field.
import { RequestError } from "./request-error.ts"

export type Fields = Readonly<Record<string, unknown>>

const shown = (value: unknown): string => {
  const json = JSON.stringify(value) ?? "nothing"
  return json.length > 80 ? `${json.slice(0, 80)}…` : json
}

const mistyped = (path: string, expected: string, value: unknown): RequestError =>
  new RequestError(`${path}: expected ${expected}, got ${shown(value)}`, path)

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const fieldsAt = (path: string, value: unknown): Fields => {
  if (isFields(value)) return value
  throw mistyped(path, "an object", value)
}

/** The items of an array; null and undefined are the empty one. */
export const itemsAt = (path: string, value: unknown): readonly unknown[] => {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) return value
  throw mistyped(path, "an array", value)
}

export const stringAt = (path: string, value: unknown): string => {
  if (typeof value === "string") return value
  throw mistyped(path, "a string", value)
}

/** Null and undefined are undefined. */
export const optionalStringAt = (path: string, value: unknown): string | undefined =>
  value === null || value === undefined ? undefined : stringAt(path, value)

/** Null and undefined are undefined. */
export const optionalBooleanAt = (path: string, value: unknown): boolean | undefined => {
  if (value === null || value === undefined) return undefined
  if (typeof value === "boolean") return value
  throw mistyped(path, "true or false", value)
}

export const nameAt = (path: string, value: unknown): string => {
  if (typeof value === "string" && value !== "") return value
  throw mistyped(path, "a non-empty string", value)
}
