// Opens libkt_bridge: ours, with the extension, or kt-kernel's, which lacks it.
import { dlopen, type FFIFunction, type Library, type Pointer } from "bun:ffi"
import { existsSync } from "node:fs"
import { statusCheck, type Check } from "@ds4/ffi"
import { BUILD_COMMAND, KT_BRIDGE_LIBRARY_PATH } from "@ds4/native"
import { ExpertPoolError, expertPoolError } from "./errors.ts"
import {
  EXTENSION_SYMBOLS,
  OLDEST_ABI_VERSION,
  KT_KERNEL_SYMBOLS,
  SLOTS_ABI_VERSION,
  SLOTS_SYMBOLS,
} from "./symbols.ts"

type KtKernelFunctions = Library<typeof KT_KERNEL_SYMBOLS>["symbols"]
export type ExtensionFunctions = Library<typeof EXTENSION_SYMBOLS>["symbols"]
type SlotsFunctions = Library<typeof SLOTS_SYMBOLS>["symbols"]

export interface KtBridge {
  readonly path: string
  readonly ktKernel: KtKernelFunctions
  /** Absent for kt-kernel's library. */
  readonly extension: ExtensionFunctions | undefined
  /** Absent before revision 2.5 too. */
  readonly slots: SlotsFunctions | undefined
  /** Text of the last failure on this thread; empty without the extension. */
  readonly lastError: () => string
  /** Throws the ExpertPoolError of a status that is not 0. */
  readonly check: Check
}

/**
 * Opens the library that `--kt-bridge-lib` names, or the one that the build makes.
 * @throws ExpertPoolError LIBRARY when it is missing, cannot be loaded, lacks a function (all are
 * named) or has an
 *   extension of another major version
 */
export function openKtBridge(path: string = KT_BRIDGE_LIBRARY_PATH): KtBridge {
  if (!existsSync(path)) {
    const how =
      path === KT_BRIDGE_LIBRARY_PATH
        ? `build it with \`${BUILD_COMMAND}\``
        : "--kt-bridge-lib names it"
    throw new ExpertPoolError("LIBRARY", `the expert library ${path} does not exist: ${how}`)
  }
  const version = extensionVersion(path)
  if (
    version !== undefined &&
    (version >>> 16 !== OLDEST_ABI_VERSION >>> 16 || version < OLDEST_ABI_VERSION)
  ) {
    throw new ExpertPoolError(
      "LIBRARY",
      `${path} has extension ${dotted(version)}, this program needs ` +
        `${dotted(OLDEST_ABI_VERSION)} or a later ${OLDEST_ABI_VERSION >>> 16}.x`,
    )
  }
  const ktKernel = load(path, KT_KERNEL_SYMBOLS)
  const slots =
    version === undefined || version < SLOTS_ABI_VERSION
      ? undefined
      : load(path, { ...EXTENSION_SYMBOLS, ...SLOTS_SYMBOLS })
  const extension = slots ?? (version === undefined ? undefined : load(path, EXTENSION_SYMBOLS))
  const lastError = () => (extension === undefined ? "" : String(extension.ktb_last_error()))
  return {
    path,
    ktKernel,
    extension,
    slots,
    lastError,
    check: statusCheck({ lastError, error: expertPoolError }),
  }
}

/**
 * The functions of slots and sharing. @throws ExpertPoolError LIBRARY naming the one that is
 * missing
 */
export function slotsOf({ slots, path }: KtBridge, needed: keyof SlotsFunctions): SlotsFunctions {
  if (slots === undefined)
    throw new ExpertPoolError(
      "LIBRARY",
      `${path} lacks ${needed}: it is older than revision ${dotted(SLOTS_ABI_VERSION)}`,
    )
  return slots
}

const dotted = (version: number) => `${version >>> 16}.${version & 0xffff}`

const tryOpen = <S extends Record<string, FFIFunction>>(
  path: string,
  symbols: S,
): Library<S> | Error => {
  try {
    return dlopen(path, symbols)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** A returned handle; bun may give an address as bigint, which user space never needs. */
export function handleOf(returned: bigint | Pointer | null): Pointer | null {
  return typeof returned === "bigint" ? (Number(returned) as Pointer) : returned
}

/** Version of the extension, undefined when the library has none. */
function extensionVersion(path: string): number | undefined {
  const library = tryOpen(path, { ktb_abi_version: EXTENSION_SYMBOLS.ktb_abi_version })
  if (library instanceof Error) {
    if (library instanceof TypeError) return undefined
    throw new ExpertPoolError("LIBRARY", `${path} cannot be loaded: ${library.message}`, {
      cause: library,
    })
  }
  const version = library.symbols.ktb_abi_version()
  library.close()
  return version
}

function load<S extends Record<string, FFIFunction>>(
  path: string,
  symbols: S,
): Library<S>["symbols"] {
  const library = tryOpen(path, symbols)
  if (!(library instanceof Error)) return library.symbols
  const missing = Object.entries(symbols).filter(([name, row]) => {
    const single = tryOpen(path, { [name]: row })
    if (single instanceof Error) return true
    single.close()
    return false
  })
  const names = missing.map(([name]) => name).join(", ")
  throw new ExpertPoolError(
    "LIBRARY",
    `${path} is no expert library that this program can use: it lacks ${names}`,
    { cause: library },
  )
}
