// Builds native libraries and programs when they are missing or stale, and knows when the demo
// model's GGUF is. Imports nothing that has to be installed. Everything it prints goes to stderr.
import { existsSync, readdirSync, statSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { fail, say } from "./prepare-modules.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const LIBRARY = join(ROOT, "native/dist/libds4.so")

/** Debian packages that the native build needs, by the program that shows their presence. */
const BUILD_TOOLS = [
  { program: "cmake", package: "cmake", isRequired: true },
  { program: process.env.CXX ?? "c++", package: "g++", isRequired: true },
  { program: "ninja", package: "ninja-build", isRequired: false },
]

const DERIVED = new Set(["node_modules", "dist", "build", ".turbo", ".reports"])

/**
 * Newest modification time, in ms, of a file or of everything under a folder that is not derived
 * from the rest.
 */
function newestChange(path: string): number {
  const entry = statSync(path)
  if (!entry.isDirectory()) return entry.mtimeMs
  return readdirSync(path)
    .filter(
      (name) => !DERIVED.has(name) && !name.endsWith(".gguf") && !name.includes(".gguf.part-"),
    )
    .reduce((newest, name) => Math.max(newest, newestChange(join(path, name))), 0)
}

function checkBuildTools(): void {
  const missing = BUILD_TOOLS.filter((tool) => Bun.which(tool.program) === null)
  const required = missing.filter((tool) => tool.isRequired).map((tool) => tool.package)
  if (required.length > 0) {
    fail(
      `the native library cannot be built: ${required.join(" and ")} missing. Debian: apt-get ` +
        `install cmake g++`,
    )
  }
  if (missing.length > 0)
    say("ninja is not installed, building with make (Debian: apt-get install ninja-build)")
}

/**
 * Whether a folder's demo.gguf is newer than the model that it is made from and the code that makes
 * it.
 */
export function isDemoGgufCurrent(folder: string): boolean {
  const target = join(folder, "demo.gguf")
  const sources = [
    folder,
    join(ROOT, "packages/engine/src/quantize"),
    join(ROOT, "packages/model-file/src/gguf"),
  ]
  return (
    existsSync(target) &&
    sources.every((source) => statSync(target).mtimeMs >= newestChange(source))
  )
}

/** Makes one group of native programs; `bun native/build.ts` shows how far it is. */
function build(group: "libraries" | "benchmarks"): void {
  checkBuildTools()
  const run = Bun.spawnSync([process.execPath, join(ROOT, "native/build.ts"), group], {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
  })
  if (run.exitCode !== 0) fail("the native build failed; its output is above")
}

/**
 * Builds the libraries when they are missing or older than the native sources. Does nothing when
 * DS4_LIBRARY names another library.
 */
export function prepareNative(): void {
  if ((process.env.DS4_LIBRARY ?? "") !== "") return
  if (existsSync(LIBRARY) && statSync(LIBRARY).mtimeMs >= newestChange(join(ROOT, "native"))) return
  build("libraries")
  if (!existsSync(LIBRARY))
    fail(`the native build ended without an error, but there is no ${LIBRARY}`)
  // sources that the library does not contain may have changed; the next start must find it current
  const now = new Date()
  utimesSync(LIBRARY, now, now)
}

/** Builds the benchmark programs, or finds them current. */
export function prepareBenchmarks(): void {
  build("benchmarks")
}
