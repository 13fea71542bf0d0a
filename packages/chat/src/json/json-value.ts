// Plain JavaScript values that remember the JSON they were read from.
import { JsonError, JsonLexer } from "./json-lexer.ts"
import { type JsonNode, MAX_JSON_DEPTH, parseJsonNode, tooDeep } from "./json-node.ts"

/** Its constructor gives back the object that it is called with. */
class Given {
  constructor(value: object) {
    return value
  }
}

/**
 * Marks an object or array with the text that it was read from, in a private field that nobody else
 * sees. A WeakMap of so many entries would be walked by every garbage collection: ten times the
 * time of the whole reading.
 */
class Marked extends Given {
  readonly #source: string

  constructor(value: object, source: string) {
    super(value)
    this.#source = source
  }

  static sourceOf(value: object): string | undefined {
    return #source in value ? value.#source : undefined
  }
}

/** The most that a document may hold. Values in memory take many times the room of their text. */
export interface JsonLimits {
  /** Values of every kind. */
  readonly values: number
  /** Objects and arrays. */
  readonly containers: number
  /** Members of all objects. */
  readonly members: number
}

const UNLIMITED: JsonLimits = { values: Infinity, containers: Infinity, members: Infinity }

/** A document has more than its limits allow. */
export class JsonLimitError extends JsonError {
  constructor(
    offset: number,
    message: string,
    /** The member of the outermost object that holds so much, if it is one. */
    readonly member: string | undefined,
  ) {
    super(offset, message)
  }
}

type Open =
  | { value: unknown[]; begin: number; close: "]" }
  | { value: Record<string, unknown>; begin: number; close: "}"; key: string }

/** Reads one document, as far at a time as it is asked to. */
class ValueReader {
  private readonly lexer: JsonLexer
  private readonly open: Open[] = []
  private values = 0
  private containers = 0
  private members = 0
  private isComplete = false
  private result: unknown

  constructor(
    text: string,
    private readonly limits: JsonLimits,
  ) {
    this.lexer = new JsonLexer(text)
  }

  /** Reads so many more values, or to the end; true when the document has been read. */
  advance(count: number): boolean {
    for (const end = this.values + count; !this.isComplete && this.values < end; ) this.value()
    return this.isComplete
  }

  get document(): unknown {
    return this.result
  }

  private value(): void {
    const { lexer } = this
    const first = lexer.peek()
    if (++this.values > this.limits.values) throw this.tooMuch(`${this.limits.values} values`)
    if (first === "{" || first === "[") this.begin(first)
    else this.add(first === '"' ? lexer.string() : literalValue(lexer.literal()))
  }

  private begin(bracket: "{" | "["): void {
    const { lexer, limits, open } = this
    const begin = lexer.index
    if (open.length >= MAX_JSON_DEPTH) throw tooDeep(begin)
    if (++this.containers > limits.containers)
      throw this.tooMuch(`${limits.containers} objects and arrays`)
    lexer.index++
    if (bracket === "[") {
      open.push({ value: [], begin, close: "]" })
      if (lexer.accept("]")) this.end()
      return
    }
    open.push({ value: {}, begin, close: "}", key: "" })
    if (lexer.accept("}")) this.end()
    else this.key()
  }

  private key(): void {
    const { lexer } = this
    const holder = this.open.at(-1)
    if (++this.members > this.limits.members) throw this.tooMuch(`${this.limits.members} members`)
    const key = lexer.string()
    if (!lexer.accept(":")) throw lexer.fail('":"')
    if (holder?.close === "}") holder.key = key
  }

  /** Closes the innermost object or array. */
  private end(): void {
    const closed = this.open.pop()
    if (closed === undefined) return
    // oxlint-disable-next-line no-new -- the mark lies on the value
    new Marked(closed.value, this.lexer.text.slice(closed.begin, this.lexer.index))
    this.add(closed.value)
  }

  /** Puts a value where it belongs and reads on to where the next one begins. */
  private add(value: unknown): void {
    const { lexer } = this
    const holder = this.open.at(-1)
    if (holder === undefined) {
      this.result = value
      lexer.end()
      this.isComplete = true
      return
    }
    if (holder.close === "]") holder.value.push(value)
    else setMember(holder.value, holder.key, value)
    if (lexer.accept(",")) {
      if (holder.close === "}") this.key()
    } else if (lexer.accept(holder.close)) this.end()
    else throw lexer.fail(`"," or "${holder.close}"`)
  }

  private tooMuch(what: string): JsonLimitError {
    const { index } = this.lexer
    const outermost = this.open[0]
    const member = outermost?.close === "}" ? outermost.key : undefined
    return new JsonLimitError(index, `more than ${what} at offset ${index}`, member)
  }
}

function literalValue(text: string): unknown {
  if (text === "null") return null
  return text === "true" ? true : text === "false" ? false : Number(text)
}

function setMember(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") {
    object[key] = value
    return
  }
  // Assigning would replace the prototype instead.
  Object.defineProperty(object, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  })
}

/** Values that are read between two looks at the clock: some tenths of a millisecond. */
const VALUES_BETWEEN_LOOKS = 1000
/** Milliseconds of reading, after which the event loop turns. */
const SLICE_MS = 5

/**
 * JSON.parse, strict and bounded in depth, whose objects and arrays can be turned back into the
 * text they came from by jsonNodeOf.
 * @throws JsonError with the offset
 */
export const parseJson = (text: string): unknown => {
  const reader = new ValueReader(text, UNLIMITED)
  reader.advance(Infinity)
  return reader.document
}

/**
 * The same in slices of some milliseconds, between which the event loop turns.
 * @throws JsonError with the offset; JsonLimitError
 */
export const parseJsonInSlices = async (text: string, limits: JsonLimits): Promise<unknown> => {
  const reader = new ValueReader(text, limits)
  for (let begin = performance.now(); !reader.advance(VALUES_BETWEEN_LOOKS); ) {
    if (performance.now() - begin < SLICE_MS) continue
    await new Promise((resolve) => setImmediate(resolve))
    begin = performance.now()
  }
  return reader.document
}

/**
 * The JSON of a value: as received when parseJson made it, else as JSON.stringify would write it.
 */
export const jsonNodeOf = (value: unknown): JsonNode =>
  parseJsonNode(knownSource(value) ?? JSON.stringify(value) ?? "null")

/** The text parseJson read an object or array from, or the minified JSON of any other value. */
export const jsonSourceOf = (value: unknown): string =>
  knownSource(value) ?? JSON.stringify(value) ?? "null"

const knownSource = (value: unknown): string | undefined =>
  typeof value === "object" && value !== null ? Marked.sourceOf(value) : undefined
