// A typebox schema as OpenAPI 3.0 has it, which knows neither "null" as a type nor "const".

type Json = Record<string, unknown>

/** Keys whose values are schemas, alone or in lists. */
const NESTED = ["items", "additionalProperties", "not"] as const
const LISTS = ["anyOf", "allOf", "oneOf"] as const

/** The schema object of a typebox schema. */
export function schemaObject(schema: unknown): Json {
  const plain = JSON.parse(JSON.stringify(schema)) as Json
  return convert(plain)
}

function convert(schema: Json): Json {
  if (Array.isArray(schema.anyOf)) return alternatives(schema, schema.anyOf as Json[])
  if (schema.type === "null") return { ...schema, type: "string", nullable: true, enum: [null] }
  if ("const" in schema) {
    const { const: value, ...rest } = schema
    return { ...rest, type: typeof value, enum: [value] }
  }
  const result: Json = { ...schema }
  for (const key of NESTED) if (isObject(result[key])) result[key] = convert(result[key])
  for (const key of LISTS)
    if (Array.isArray(result[key])) result[key] = (result[key] as Json[]).map(convert)
  if (isObject(result.properties))
    result.properties = Object.fromEntries(
      Object.entries(result.properties).map(([name, each]) => [name, convert(each as Json)]),
    )
  return result
}

/** A choice between schemas; null among them becomes `nullable`, several words one `enum`. */
function alternatives({ anyOf: _choices, ...rest }: Json, choices: readonly Json[]): Json {
  const isNullable = choices.some(({ type }) => type === "null")
  const kept = choices.filter(({ type }) => type !== "null").map(convert)
  const words = kept.flatMap(({ enum: values }) => (Array.isArray(values) ? values : []))
  const [first] = kept
  const nullable = isNullable ? { nullable: true } : {}
  if (kept.length > 0 && words.length === kept.length)
    return {
      type: typeof words[0],
      enum: isNullable ? [...words, null] : words,
      ...nullable,
      ...rest,
    }
  if (kept.length === 1 && first !== undefined) return { ...first, ...nullable, ...rest }
  return { anyOf: kept, ...nullable, ...rest }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
