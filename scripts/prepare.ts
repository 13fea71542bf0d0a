// Makes a fresh clone ready: installs node modules and builds the native library when they are missing or stale.
// Imports nothing that has to be installed. Everything it prints goes to stderr.
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { turbo } from "./turbo.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const LIBRARY = join(ROOT, "native/dist/libds4.so")
const INSTALLED = join(ROOT, "node_modules/.ds4-installed")

/** Debian packages that the native build needs, by the program that shows their presence. */
const BUILD_TOOLS = [
  { program: "cmake", package: "cmake", isRequired: true },
  { program: process.env.CXX ?? "c++", package: "g++", isRequired: true },
  { program: "ninja", package: "ninja-build", isRequired: false },
]

function say(text: string): void {
  process.stderr.write(`ds4: ${text}\n`)
}

function fail(text: string): never {
  say(text)
  process.exit(1)
}

/** Refuses any other bun than the one that package.json pins; nothing else enforces it. */
export function checkBunVersion(): void {
  const manifest = readFileSync(join(ROOT, "package.json"), "utf8")
  const pinned = /"packageManager":\s*"bun@([^"]+)"/.exec(manifest)?.[1]
  if (pinned !== undefined && pinned !== Bun.version) {
    fail(`this is bun ${Bun.version}, the project is pinned to ${pinned}; start through ./ds4 or npx -y bun@${pinned}`)
  }
}

/** Installs node modules when there are none, or when bun.lock has changed since the last install. */
export function prepareModules(): void {
  const lock = Bun.hash(readFileSync(join(ROOT, "bun.lock"))).toString(16)
  const isCurrent = existsSync(INSTALLED) && readFileSync(INSTALLED, "utf8") === lock
  if (isCurrent) return
  say("installing node modules (bun install --frozen-lockfile)")
  const install = Bun.spawnSync([process.execPath, "install", "--frozen-lockfile"], { cwd: ROOT, stdio: ["ignore", 2, 2] })
  if (install.exitCode !== 0) fail("bun install failed; its message is above")
  writeFileSync(INSTALLED, lock)
}

/** Newest modification time, in ms, of a file or of everything under a folder that a native build reads. */
function newestChange(path: string): number {
  const entry = statSync(path)
  if (!entry.isDirectory()) return entry.mtimeMs
  const skipped = new Set(["node_modules", "dist", "build", ".turbo", ".reports"])
  return readdirSync(path)
    .filter((name) => !skipped.has(name))
    .reduce((newest, name) => Math.max(newest, newestChange(join(path, name))), 0)
}

function checkBuildTools(): void {
  const missing = BUILD_TOOLS.filter((tool) => Bun.which(tool.program) === null)
  const required = missing.filter((tool) => tool.isRequired).map((tool) => tool.package)
  if (required.length > 0) {
    fail(`the native library cannot be built: ${required.join(" and ")} missing. Debian: apt-get install cmake g++`)
  }
  if (missing.length > 0) say("ninja is not installed, building with make (Debian: apt-get install ninja-build)")
}

/**
 * Builds native/dist when it is missing or older than its sources; a build that is in turbo's cache is restored.
 * Nothing is built when DS4_LIBRARY names another library.
 */
export function prepareNative(): void {
  if ((process.env.DS4_LIBRARY ?? "") !== "") return
  if (existsSync(LIBRARY) && statSync(LIBRARY).mtimeMs >= newestChange(join(ROOT, "native"))) return
  checkBuildTools()
  say(existsSync(LIBRARY) ? "the native sources have changed, building" : "building the native library, once (minutes)")
  if (turbo(["build", "--filter=@ds4/native"], { quiet: true }) !== 0) fail("the native build failed; its output is above")
  if (!existsSync(LIBRARY)) fail(`the native build ended without an error, but there is no ${LIBRARY}`)
  const now = new Date() // a restored library carries an old time; the next start must find it current
  utimesSync(LIBRARY, now, now)
}
