// JSON of untrusted files: size-limited, UTF-8, an object at the top, and no key twice in one
// object. JSON.parse alone would silently keep the last of two equal keys.
import type { ByteSource } from "../byte-source.ts"
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
  let value: unknown
  try {
    text = UTF8.decode(bytes)
    value = JSON.parse(text)
  } catch (error) {
    throw new ModelFileError(
      "FORMAT",
      `${what} is not JSON (${error instanceof Error ? error.message : String(error)})`,
      { path, cause: error },
    )
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

/** Reads and parses a whole JSON file of at most `limit` bytes. */
export async function readJsonObject(
  source: ByteSource,
  limit: number,
): Promise<Map<string, unknown>> {
  if (source.bytes > limit)
    throw new ModelFileError("RANGE", `has ${source.bytes} bytes; the limit is ${limit}`, {
      path: source.path,
    })
  return parseJsonObject(await source.read(0, source.bytes), "the file", source.path).members
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
