// The one open libds4 of the process.
import type { Library } from "bun:ffi"
import { findLibrary, LibraryError, openLibrary, statusCheck, type Check } from "@ds4/ffi"
import { BUILD_COMMAND, DS4_LIBRARY_PATH } from "@ds4/native"
import { EngineError, engineError } from "./errors.ts"
import { ABI_VERSION, DS4_SYMBOLS } from "./symbols.ts"

interface EngineLibrary {
  readonly path: string
  readonly symbols: Library<typeof DS4_SYMBOLS>["symbols"]
  /** Throws the EngineError of a status with the library's text. */
  readonly check: Check
}

let opened: EngineLibrary | undefined

/**
 * Opens libds4 on first use: DS4_LIBRARY if set, else the build's output.
 * @throws EngineError IO when it is missing, cannot be loaded or has another ABI version
 */
export function engineLibrary(): EngineLibrary {
  opened ??= open()
  return opened
}

function open(): EngineLibrary {
  try {
    const path = findLibrary({
      override: { variable: "DS4_LIBRARY", value: process.env.DS4_LIBRARY },
      path: DS4_LIBRARY_PATH,
      build: BUILD_COMMAND,
    })
    const { symbols } = openLibrary(
      path,
      { symbol: "ds4_abi_version", expected: ABI_VERSION },
      DS4_SYMBOLS,
    )
    const check = statusCheck({
      lastError: () => String(symbols.ds4_last_error()),
      error: engineError,
    })
    return { path, symbols, check }
  } catch (error) {
    if (error instanceof LibraryError) throw new EngineError("IO", error.message, { cause: error })
    throw error
  }
}

/** The library's facts about this machine: CPU features, cores, kernel set, GPUs. */
export function machine(): unknown {
  return JSON.parse(String(engineLibrary().symbols.ds4_machine()))
}
