// Where the native build leaves what other packages use. Paths only: nothing is loaded here.
import { join } from "node:path"

const root = join(import.meta.dir, "..")

export const DIST = join(root, "dist")
const suffix = process.platform === "darwin" ? "dylib" : "so"

/** The engine library and its public header. */
export const DS4_LIBRARY_PATH = join(DIST, `libds4.${suffix}`)
export const DS4_HEADER_PATH = join(root, "include", "ds4.h")
/** The CPU expert library and its public header. */
export const KT_BRIDGE_LIBRARY_PATH = join(DIST, `libkt_bridge.${suffix}`)
export const KT_BRIDGE_HEADER_PATH = join(root, "include", "kt_bridge.h")
/** Commands that make them, for messages. */
export const BUILD_COMMAND = "bun run build"
export const BENCH_BUILD_COMMAND = "bun native/build.ts benchmarks"
