// C structs as tables: field types give offsets and size by the rules of x86-64 System V, and
// values travel through a DataView. Each table is tested against the library's own offsetof.
const SCALARS = {
  u8: { bytes: 1 },
  i32: { bytes: 4 },
  u32: { bytes: 4 },
  f32: { bytes: 4 },
  u64: { bytes: 8 },
  f64: { bytes: 8 },
  ptr: { bytes: 8 },
} as const

export type Scalar = keyof typeof SCALARS
/** A scalar, a fixed array of scalars, or a struct by value. */
export type Field = Scalar | readonly [Scalar, number] | Struct<Fields>
export interface Fields {
  readonly [name: string]: Field
}

/**
 * u64 takes a number or a bigint and reads as a number; what does not fit a safe integer throws.
 */
type FieldValue<F> = F extends Scalar
  ? number | bigint
  : F extends readonly [Scalar, number]
    ? readonly number[]
    : F extends Struct<infer G>
      ? StructValues<G>
      : never
export type StructValues<F> = { readonly [K in keyof F]?: FieldValue<F[K]> }
type ReadValue<F> = F extends Scalar
  ? number
  : F extends readonly [Scalar, number]
    ? number[]
    : F extends Struct<infer G>
      ? ReadValues<G>
      : never
export type ReadValues<F> = { -readonly [K in keyof F]: ReadValue<F[K]> }

interface Slot {
  readonly name: string
  readonly field: Field
  readonly offset: number
}

const fieldBytes = (field: Field): number =>
  typeof field === "string"
    ? SCALARS[field].bytes
    : field instanceof Struct
      ? field.bytes
      : SCALARS[field[0]].bytes * field[1]
const fieldAlign = (field: Field): number =>
  typeof field === "string"
    ? SCALARS[field].bytes
    : field instanceof Struct
      ? field.align
      : SCALARS[field[0]].bytes
const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step

export class Struct<F extends Fields> {
  readonly bytes: number
  readonly align: number
  private readonly slots: readonly Slot[]

  constructor(
    readonly name: string,
    readonly fields: F,
  ) {
    const slots: Slot[] = []
    let end = 0
    let align = 1
    for (const [field, type] of Object.entries(fields)) {
      const offset = roundUp(end, fieldAlign(type))
      slots.push({ name: field, field: type, offset })
      end = offset + fieldBytes(type)
      align = Math.max(align, fieldAlign(type))
    }
    this.slots = slots
    this.align = align
    this.bytes = roundUp(end, align)
  }

  /**
   * A zeroed struct with these values; `struct_bytes`, where there is one, is filled in, nested
   * structs included.
   */
  create(values: StructValues<F> = {}): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.bytes)
    this.write(new DataView(bytes.buffer), 0, values)
    return bytes
  }

  /**
   * Writes every field at `offset`; those not given become 0. @throws RangeError for a value that
   * its field cannot hold
   */
  write(view: DataView, offset: number, values: StructValues<F>): void {
    for (const slot of this.slots) {
      const value: unknown = slot.name === "struct_bytes" ? this.bytes : values[slot.name]
      writeField(view, offset + slot.offset, slot.field, value, `${this.name}.${slot.name}`)
    }
  }

  read(view: DataView, offset = 0): ReadValues<F> {
    const values: Record<string, unknown> = {}
    for (const slot of this.slots)
      values[slot.name] = readField(
        view,
        offset + slot.offset,
        slot.field,
        `${this.name}.${slot.name}`,
      )
    return values as ReadValues<F>
  }

  /**
   * "name size" and "name.field offset" lines, as the library's own layout function prints them.
   */
  describe(): string {
    return [
      `${this.name} ${this.bytes}`,
      ...this.slots.map((slot) => `${this.name}.${slot.name} ${slot.offset}`),
    ].join("\n")
  }
}

export const struct = <const F extends Fields>(name: string, fields: F): Struct<F> =>
  new Struct(name, fields)

function writeField(
  view: DataView,
  offset: number,
  field: Field,
  value: unknown,
  name: string,
): void {
  if (field instanceof Struct) {
    field.write(view, offset, (value ?? {}) as StructValues<Fields>)
  } else if (typeof field === "string") {
    writeScalar(view, offset, field, (value ?? 0) as number | bigint, name)
  } else {
    const [scalar, count] = field
    const items = (value ?? []) as readonly number[]
    if (items.length > count)
      throw new RangeError(`${name} holds ${count} values, got ${items.length}`)
    for (let i = 0; i < count; i++)
      writeScalar(view, offset + i * SCALARS[scalar].bytes, scalar, items[i] ?? 0, name)
  }
}

const LIMITS = { u8: [0, 0xff], i32: [-0x80000000, 0x7fffffff], u32: [0, 0xffffffff] } as const

function writeScalar(
  view: DataView,
  offset: number,
  scalar: Scalar,
  value: number | bigint,
  name: string,
): void {
  if (scalar === "u64" || scalar === "ptr") {
    const isWhole =
      typeof value === "bigint"
        ? value >= 0n && value < 2n ** 64n
        : Number.isSafeInteger(value) && value >= 0
    if (!isWhole)
      throw new RangeError(`${name} is ${value}; expected a whole number from 0 to 2^64 - 1`)
    if (typeof value === "bigint") {
      view.setBigUint64(offset, value, true)
    } else {
      view.setUint32(offset, value % 0x100000000, true)
      view.setUint32(offset + 4, Math.floor(value / 0x100000000), true)
    }
    return
  }
  const number = Number(value)
  if (scalar === "f32") return view.setFloat32(offset, number, true)
  if (scalar === "f64") return view.setFloat64(offset, number, true)
  const [low, high] = LIMITS[scalar]
  if (!Number.isInteger(number) || number < low || number > high) {
    throw new RangeError(`${name} is ${value}; expected a whole number from ${low} to ${high}`)
  }
  if (scalar === "u8") view.setUint8(offset, number)
  else if (scalar === "i32") view.setInt32(offset, number, true)
  else view.setUint32(offset, number, true)
}

function readField(view: DataView, offset: number, field: Field, name: string): unknown {
  if (field instanceof Struct) return field.read(view, offset)
  if (typeof field === "string") return readScalar(view, offset, field, name)
  const [scalar, count] = field
  return Array.from({ length: count }, (_, i) =>
    readScalar(view, offset + i * SCALARS[scalar].bytes, scalar, name),
  )
}

function readScalar(view: DataView, offset: number, scalar: Scalar, name: string): number {
  switch (scalar) {
    case "u8":
      return view.getUint8(offset)
    case "i32":
      return view.getInt32(offset, true)
    case "u32":
      return view.getUint32(offset, true)
    case "f32":
      return view.getFloat32(offset, true)
    case "f64":
      return view.getFloat64(offset, true)
    case "u64":
    case "ptr": {
      const value = Number(view.getBigUint64(offset, true))
      if (!Number.isSafeInteger(value))
        throw new RangeError(`${name} is ${view.getBigUint64(offset, true)}, beyond 2^53`)
      return value
    }
  }
}
