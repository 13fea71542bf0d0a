/** The longest text of a value in a message, in characters. */
const MAX_CHARACTERS = 120
/** Larger arrays and objects are told by their size; writing them all could take seconds. */
const MAX_MEMBERS = 40

/** A value from a request as it stands in messages. */
export function shownValue(value: unknown): string {
  if (value === undefined) return "nothing"
  if (Array.isArray(value) && value.length > MAX_MEMBERS) return `an array of ${value.length} items`
  if (typeof value === "object" && value !== null && Object.keys(value).length > MAX_MEMBERS)
    return `an object of ${Object.keys(value).length} members`
  const json = JSON.stringify(typeof value === "string" ? value.slice(0, MAX_CHARACTERS) : value)
  return json.length > MAX_CHARACTERS ? `${json.slice(0, MAX_CHARACTERS)}…` : json
}
