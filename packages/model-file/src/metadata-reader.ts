// Typed access to untrusted key-value data: config.json and GGUF metadata. A value of the wrong
// kind is refused by name, never replaced by a default.
import { ModelFileError } from "./model-file-error.ts"

/** Reads named values from one source and says in errors where they came from. */
export class MetadataReader {
  /** `prefix` goes before every key asked for; `path` is the file named in errors. */
  constructor(
    private readonly values: ReadonlyMap<string, unknown>,
    readonly path: string,
    private readonly prefix = "",
  ) {}

  has(key: string): boolean {
    return this.raw(key) !== undefined
  }

  raw(key: string): unknown {
    const value = this.values.get(this.prefix + key)
    return value === null ? undefined : value
  }

  /** A whole number that fits a double exactly. */
  whole(key: string, fallback?: number): number {
    const value = this.required(key, fallback)
    if (typeof value === "number" && Number.isSafeInteger(value)) return value
    throw this.wrong(key, "a whole number", value)
  }

  /** A token id; of a list the first, which is the one that a model was trained to write. */
  tokenId(key: string): number {
    const value = this.required(key, undefined)
    if (!Array.isArray(value)) return this.whole(key)
    const [first] = value as unknown[]
    if (value.length > 0 && value.every((id) => Number.isSafeInteger(id))) return Number(first)
    throw this.wrong(key, "a whole number or a list of them", value)
  }

  /** A text that nothing depends on: another kind of value counts as none. */
  label(key: string, fallback: string): string {
    const value = this.raw(key)
    return typeof value === "string" ? value : fallback
  }

  /** A number, rounded to float32: the engine's precision, and what GGUF stores. */
  float(key: string, fallback?: number): number {
    const value = this.required(key, fallback)
    if (typeof value === "number") return Math.fround(value)
    throw this.wrong(key, "a number", value)
  }

  boolean(key: string, fallback?: boolean): boolean {
    const value = this.required(key, fallback)
    if (typeof value === "boolean") return value
    if (value === 0 || value === 1) return value === 1
    throw this.wrong(key, "true or false", value)
  }

  text(key: string, fallback?: string): string {
    const value = this.required(key, fallback)
    if (typeof value === "string") return value
    throw this.wrong(key, "a string", value)
  }

  /**
   * A list of numbers; a single number stands for `count` equal ones. Lists of another length than
   * `count` up to `most` are refused, longer ones are cut to `count`.
   */
  perLayer(key: string, count: number, most: number): number[] {
    const value = this.required(key, undefined)
    if (typeof value === "number") return Array.from({ length: count }, () => Math.fround(value))
    if (!Array.isArray(value)) throw this.wrong(key, "a number or a list of numbers", value)
    if (value.length < count || value.length > most) {
      throw this.refuse(
        "VALUE",
        `${this.prefix}${key} has ${value.length} entries; expected ${count} (one a layer)` +
          `${most > count ? ` to ${most}` : ""}`,
      )
    }
    return value.slice(0, count).map((entry: unknown, index) => {
      if (typeof entry !== "number") throw this.wrong(`${key}[${index}]`, "a number", entry)
      return Math.fround(entry)
    })
  }

  /** A nested object as a reader of its own, or undefined when absent. */
  nested(key: string): MetadataReader | undefined {
    const value = this.raw(key)
    if (value === undefined) return undefined
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw this.wrong(key, "an object", value)
    return new MetadataReader(new Map(Object.entries(value)), this.path)
  }

  /** Refuses a value that is present and differs from the only one supported. */
  only(key: string, supported: string | number | boolean): void {
    const value = this.raw(key)
    if (value !== undefined && value !== supported) {
      throw this.refuse(
        "UNSUPPORTED",
        `${this.prefix}${key} is ${shown(value)}; only ${shown(supported)} is supported`,
      )
    }
  }

  refuse(code: "VALUE" | "MISSING" | "UNSUPPORTED", message: string): ModelFileError {
    return new ModelFileError(code, message, { path: this.path })
  }

  private required(key: string, fallback: unknown): unknown {
    const value = this.raw(key) ?? fallback
    if (value === undefined) throw this.refuse("MISSING", `${this.prefix}${key} is missing`)
    return value
  }

  private wrong(key: string, expected: string, came: unknown): ModelFileError {
    return this.refuse("VALUE", `${this.prefix}${key} is ${shown(came)}; expected ${expected}`)
  }
}

/** An untrusted value for a message, shortened. */
export function shown(value: unknown): string {
  const text =
    JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === "bigint" ? Number(inner) : inner,
    ) ?? "undefined"
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
