// Says in words which values a JSON schema accepts: "a number from 0 to 1", "true or false".

interface SchemaNode {
  type?: string
  const?: unknown
  anyOf?: readonly SchemaNode[]
  properties?: Readonly<Record<string, SchemaNode>>
  items?: SchemaNode
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  maxLength?: number
}

/** The values that a schema accepts; null, which means "absent" everywhere here, goes unsaid. */
export function expectedOf(schema: unknown): string {
  const words = alternatives(schema as SchemaNode).map(inWords)
  const last = words.pop() ?? "nothing"
  return words.length === 0 ? last : `${words.join(", ")} or ${last}`
}

function alternatives(schema: SchemaNode): SchemaNode[] {
  if (schema.anyOf === undefined) return schema.type === "null" ? [] : [schema]
  return schema.anyOf.flatMap(alternatives)
}

function inWords(schema: SchemaNode): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  switch (schema.type) {
    case "boolean":
      return "true or false"
    case "integer":
    case "number":
      return `${schema.type === "integer" ? "an integer" : "a number"}${rangeOf(schema)}`
    case "string":
      return schema.maxLength === undefined
        ? "a string"
        : `a string of at most ${schema.maxLength} characters`
    case "array":
      return arrayInWords(schema)
    case "object":
      return objectInWords(schema)
    default:
      return "any value"
  }
}

function rangeOf({ minimum, maximum }: SchemaNode): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  if (minimum !== undefined) return ` of at least ${minimum}`
  return maximum === undefined ? "" : ` of at most ${maximum}`
}

function arrayInWords({ items, minItems, maxItems }: SchemaNode): string {
  const bounds = [
    minItems === undefined ? "" : `at least ${minItems}`,
    maxItems === undefined ? "" : `at most ${maxItems}`,
  ].filter((bound) => bound !== "")
  const length = bounds.length === 0 ? "" : ` of ${bounds.join(" and ")}`
  // An object's fields are named where one of them is at fault.
  const each =
    items?.type === undefined
      ? ""
      : items.type === "object"
        ? ", each an object"
        : `, each ${inWords(items)}`
  return `an array${length}${each}`
}

function objectInWords({ properties }: SchemaNode): string {
  const fields = Object.entries(properties ?? {}).map(
    ([name, schema]) => `${name}: ${expectedOf(schema)}`,
  )
  return fields.length === 0 ? "an object" : `an object with {${fields.join("; ")}}`
}
