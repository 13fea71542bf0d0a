// Finds a native library, refuses one of another ABI version before anything else of it is called,
// and opens it.
import { existsSync } from "node:fs"
import { dlopen, type FFIFunction, type Library } from "bun:ffi"

export type LibraryErrorCode = "MISSING" | "LOAD" | "VERSION"
export class LibraryError extends Error {
  override readonly name = "LibraryError"
  constructor(
    readonly code: LibraryErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export interface LibrarySource {
  /** Path that wins over `path` when the variable is set; say so in messages. */
  readonly override: { readonly variable: string; readonly value: string | undefined }
  /** Where the build puts the library. */
  readonly path: string
  /** How to make it, for the message when it is missing. */
  readonly build: string
}

/** @throws LibraryError MISSING naming the path, the variable and the build command */
export function findLibrary(source: LibrarySource): string {
  const { variable, value } = source.override
  const path = value === undefined || value === "" ? source.path : value
  if (existsSync(path)) return path
  const why =
    path === source.path
      ? `build it with \`${source.build}\`, or name one with ${variable}`
      : `${variable} names it`
  throw new LibraryError("MISSING", `the native library ${path} does not exist: ${why}`)
}

export interface AbiVersion {
  /** The function that returns it, without arguments, as u32. */
  readonly symbol: string
  readonly expected: number
}

/**
 * Opens a library whose version function returns the expected number.
 * @throws LibraryError LOAD with the loader's text, VERSION naming both versions and the path
 */
export function openLibrary<S extends Record<string, FFIFunction>>(
  path: string,
  version: AbiVersion,
  symbols: S,
): Library<S> {
  const found = readVersion(path, version.symbol)
  if (found !== version.expected) {
    throw new LibraryError(
      "VERSION",
      `${path} has ABI version ${found}, this program needs ${version.expected}: build both ` +
        `from the same sources`,
    )
  }
  return load(path, symbols)
}

function readVersion(path: string, symbol: string): number {
  const library = load(path, { [symbol]: { args: [], returns: "u32" } })
  try {
    return Number((library.symbols[symbol] as () => number)())
  } finally {
    library.close()
  }
}

function load<S extends Record<string, FFIFunction>>(path: string, symbols: S): Library<S> {
  try {
    return dlopen(path, symbols)
  } catch (error) {
    throw new LibraryError(
      "LOAD",
      `${path} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
}
