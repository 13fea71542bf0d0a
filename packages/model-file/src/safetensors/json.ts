// JSON of untrusted files: size-limited, UTF-8, an object at the top, and no key twice in one
// object. JSON.parse alone would silently keep the last of two equal keys.
import type { ByteSource } from "../byte-source.ts"
import { ModelFileError } from "../model-file-error.ts"

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Parses `bytes` as a JSON object. `what` names them in errors. */
export function parseJsonObject(
  bytes: Uint8Array,
  what: string,
  path: string,
): Map<string, unknown> {
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
  const twice = duplicateKey(text)
  if (twice !== undefined)
    throw new ModelFileError("UNEXPECTED", `${what} has the key "${twice}" twice`, {
      path,
      tensor: twice,
    })
  return new Map(Object.entries(value))
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
  return parseJsonObject(await source.read(0, source.bytes), "the file", source.path)
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

/** The first key that one object of the (valid) JSON text has twice. */
export function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [] // a set for each object, undefined for each list
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === OPEN_BRACE) open.push(new Set())
    else if (code === OPEN_BRACKET) open.push(undefined)
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) open.pop()
    else if (code === QUOTE) {
      const end = stringEnd(text, i)
      const keys = open.at(-1)
      if (keys !== undefined && followedByColon(text, end)) {
        const key = unescaped(text.slice(i, end))
        if (keys.has(key)) return key
        keys.add(key)
      }
      i = end - 1
    }
  }
  return undefined
}

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
