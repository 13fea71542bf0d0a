// JSON of untrusted files: size-limited, UTF-8, an object at the top, and no key twice in one
// object. JSON.parse alone would silently keep the last of two equal keys.
import type { ByteSource } from "../byte-source.ts"
import { foreignFile } from "../foreign-file.ts"
import { ModelFileError } from "../model-file-error.ts"

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** A JSON object, and what JSON.parse does not tell of its text. */
interface ParsedObject {
  readonly members: Map<string, unknown>
  /** Most objects and lists inside each other. */
  readonly depth: number
  /** A string has half of a surrogate pair. */
  readonly hasLoneSurrogate: boolean
}

/** Parses `bytes` as a JSON object. `what` names them in errors. */
export function parseJsonObject(bytes: Uint8Array, what: string, path: string): ParsedObject {
  let text: string
  try {
    text = UTF8.decode(bytes)
  } catch (error) {
    throw notJson(what, path, error)
  }
  return parseJsonText(text, what, path)
}

const notJson = (what: string, path: string, cause: unknown): ModelFileError =>
  new ModelFileError(
    "FORMAT",
    `${what} is not JSON (${cause instanceof Error ? cause.message : String(cause)})`,
    { path, cause },
  )

function parseJsonText(text: string, what: string, path: string): ParsedObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw notJson(what, path, error)
  }
  if (!isObject(value))
    throw new ModelFileError(
      "FORMAT",
      `${what} is ${Array.isArray(value) ? "a list" : typeof value}; expected an object`,
      { path },
    )
  const { duplicateKey, depth, hasLoneSurrogate } = scanJson(text)
  if (duplicateKey !== undefined)
    throw new ModelFileError("UNEXPECTED", `${what} has the key "${duplicateKey}" twice`, {
      path,
      tensor: duplicateKey,
    })
  return { members: new Map(Object.entries(value)), depth, hasLoneSurrogate }
}

/**
 * JSON.parse that takes what Python writes for numbers that JSON lacks. NaN becomes the text "NaN",
 * so that a reader who needs a number refuses it by name.
 * @throws SyntaxError
 */
export function parsePythonJson(text: string): unknown {
  return JSON.parse(standardJson(text))
}

const BARE_NUMBER = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/gs
const STANDARD: Readonly<Record<string, string>> = {
  NaN: '"NaN"',
  "-NaN": '"NaN"',
  Infinity: "1e999",
  "-Infinity": "-1e999",
}

function standardJson(text: string): string {
  if (!/NaN|Infinity/.test(text)) return text
  return text.replaceAll(BARE_NUMBER, (match) => STANDARD[match] ?? match)
}

/** A key that nobody needs may hold a byte that is not UTF-8, as an author's name does. */
const LENIENT_UTF8 = new TextDecoder("utf-8", { ignoreBOM: true })

/**
 * Reads and parses a whole JSON file of at most `limit` bytes, as Python writes it.
 * @throws ModelFileError FORMAT, RANGE or UNEXPECTED
 */
export async function readJsonObject(
  source: ByteSource,
  limit: number,
): Promise<Map<string, unknown>> {
  if (source.bytes > limit)
    throw new ModelFileError("RANGE", `has ${source.bytes} bytes; the limit is ${limit}`, {
      path: source.path,
    })
  const bytes = await source.read(0, source.bytes)
  const text = standardJson(LENIENT_UTF8.decode(bytes))
  try {
    return parseJsonText(text, "the file", source.path).members
  } catch (error) {
    const hint = foreignFile(bytes)
    if (hint === undefined) throw error
    throw new ModelFileError("FORMAT", hint, { path: source.path, cause: error })
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const COLON = 0x3a

interface JsonScan extends Pick<ParsedObject, "depth" | "hasLoneSurrogate"> {
  /** The first key that one object has twice; the scan ends there. */
  readonly duplicateKey: string | undefined
}

/** Looks at (valid) JSON text for what JSON.parse passes over. */
export function scanJson(text: string): JsonScan {
  const open: (Set<string> | undefined)[] = [] // a set for each object, undefined for each list
  let depth = 0
  let hasLoneSurrogate = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === OPEN_BRACE) depth = Math.max(depth, open.push(new Set()))
    else if (code === OPEN_BRACKET) depth = Math.max(depth, open.push(undefined))
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) open.pop()
    else if (code === QUOTE) {
      const end = stringEnd(text, i)
      const quoted = text.slice(i, end)
      hasLoneSurrogate ||= hasHalfPair(quoted)
      const keys = open.at(-1)
      if (keys !== undefined && followedByColon(text, end)) {
        const key = unescaped(quoted)
        if (keys.has(key)) return { duplicateKey: key, depth, hasLoneSurrogate }
        keys.add(key)
      }
      i = end - 1
    }
  }
  return { duplicateKey: undefined, depth, hasLoneSurrogate }
}

const hasHalfPair = (quoted: string): boolean =>
  quoted.includes("\\u") && !unescaped(quoted).isWellFormed()

/** The position after the closing quote of the string that starts at `begin`. */
function stringEnd(text: string, begin: number): number {
  let i = begin + 1
  while (i < text.length && text.charCodeAt(i) !== QUOTE)
    i += text.charCodeAt(i) === BACKSLASH ? 2 : 1
  return i + 1
}

function followedByColon(text: string, from: number): boolean {
  let i = from
  while (i < text.length && text.charCodeAt(i) <= 0x20) i++
  return text.charCodeAt(i) === COLON
}

const unescaped = (quoted: string): string =>
  quoted.includes("\\") ? String(JSON.parse(quoted)) : quoted.slice(1, -1)
