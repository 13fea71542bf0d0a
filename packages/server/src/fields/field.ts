// One field of a request body: its schema, its meaning, and whether it does anything here.
import { type TObject, type TProperties, type TSchema, Type } from "@sinclair/typebox"

/** Says why a value asks for something that is not done here; undefined: it asks for nothing. */
type Refusal = (value: unknown) => string | undefined

interface FieldBase<S extends TSchema> {
  /** Values that validation lets through; null means absent. */
  readonly schema: S
  /** One sentence for people. */
  readonly help: string
}

/** A field that does something. */
interface ReadField<S extends TSchema = TSchema> extends FieldBase<S> {
  readonly use: "read"
  readonly isRequired: boolean
  /** Refuses some of its values. */
  readonly refusal: Refusal
}

/** A field that changes nothing here and asks for nothing that would be missed. */
interface IgnoredField extends FieldBase<TSchema> {
  readonly use: "ignored"
}

/** A field of these APIs that is not supported; values that change nothing are accepted. */
interface RefusedField extends FieldBase<TSchema> {
  readonly use: "refused"
  readonly refusal: Refusal
}

type Field = ReadField | IgnoredField | RefusedField

/** Name to field. A name with a dot is a field of an object: "text.format". */
export type FieldTable = Readonly<Record<string, Field>>

/** The field may be absent or null; null means absent. */
export const optional = <T extends TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]))

const none: Refusal = () => undefined
const anything = Type.Optional(Type.Unknown())

export function required<S extends TSchema>(schema: S, help: string): ReadField<S> {
  return { use: "read", schema, help, isRequired: true, refusal: none }
}

/** @param refusal says why some of its values are refused */
export function read<S extends TSchema>(
  schema: S,
  help: string,
  refusal: Refusal = none,
): ReadField<ReturnType<typeof optional<S>>> {
  return { use: "read", schema: optional(schema), help, isRequired: false, refusal }
}

/** A field whose value is read with care where it is used. */
export function readAny(help: string, refusal: Refusal = none): ReadField<typeof anything> {
  return { use: "read", schema: anything, help, isRequired: false, refusal }
}

export function ignored(help: string): IgnoredField {
  return { use: "ignored", schema: anything, help }
}

/**
 * @param why the reason, and what to do instead where there is something
 * @param neutral the values besides null that change nothing, by example
 * @param isNeutral tells further such values
 */
export function refused(
  why: string,
  neutral: readonly unknown[] = [],
  isNeutral: (value: unknown) => boolean = () => false,
): RefusedField {
  const examples = neutral.map((value) => JSON.stringify(value))
  const accepted = ["null", ...examples].join(" and ")
  const advice = examples.length === 0 ? "" : ` or send ${examples[0]}`
  return {
    use: "refused",
    schema: anything,
    help: `not supported: ${why}; ${accepted} change${examples.length === 0 ? "s" : ""} nothing`,
    refusal: (value) =>
      neutral.some((each) => Bun.deepEquals(each, value)) || isNeutral(value)
        ? undefined
        : `${why}; leave it out${advice}`,
  }
}

/** The properties of a body that do something, with the types of their schemas. */
type PropertiesOf<T extends FieldTable> = {
  -readonly [K in keyof T as T[K] extends ReadField ? K : never]: T[K]["schema"]
}

/** The schema of a body with these fields; fields that no table knows are ignored. */
export function bodySchema<T extends FieldTable>(
  fields: T,
  description: string,
  example: Record<string, unknown>,
): TObject<PropertiesOf<T> extends TProperties ? PropertiesOf<T> : never> {
  const properties: TProperties = {}
  for (const [name, field] of Object.entries(fields))
    if (!name.includes(".")) properties[name] = { ...field.schema, description: field.help }
  const schema = Type.Object(properties, { additionalProperties: true, description, example })
  // The loop above builds exactly what the type says; the compiler cannot follow it.
  return schema as unknown as ReturnType<typeof bodySchema<T>>
}
