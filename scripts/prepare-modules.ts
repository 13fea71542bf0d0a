// Checks bun's version and installs node modules on a fresh clone. Imports nothing that has to be
// installed.
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const INSTALLED = join(ROOT, "node_modules/.ds4-installed")

/** The command's own --quiet, before anything can parse it. */
const IS_QUIET = process.argv.slice(2).some((word) => word === "-q" || word === "--quiet")

/** Tells on stderr: stdout may be data. */
export function say(text: string): void {
  if (!IS_QUIET) process.stderr.write(`ds4: ${text}\n`)
}

/** Ends the process with status 1. */
export function fail(text: string): never {
  process.stderr.write(`ds4: ${text}\n`)
  process.exit(1)
}

/** Refuses any other bun than the one that package.json pins; nothing else enforces it. */
export function checkBunVersion(): void {
  const manifest = readFileSync(join(ROOT, "package.json"), "utf8")
  const pinned = /"packageManager":\s*"bun@([^"]+)"/.exec(manifest)?.[1]
  if (pinned !== undefined && pinned !== Bun.version) {
    fail(
      `this is bun ${Bun.version}, the project is pinned to ${pinned}; start through ./ds4 or ` +
        `npx -y bun@${pinned}`,
    )
  }
}

/** Modules that the commands of a fresh clone need, or also those of the developers' tools. */
type Extent = "commands" | "all"

/** Marker of the last install: a hash of the bun.lock that it followed, and its extent. */
function installed(): { lock: string; extent: Extent } | undefined {
  if (!existsSync(INSTALLED)) return undefined
  const [lock = "", extent] = readFileSync(INSTALLED, "utf8").split(" ")
  return { lock, extent: extent === "commands" ? "commands" : "all" }
}

/**
 * Installs node modules when there are none, when bun.lock has changed since the last install, or
 * when that left out what is needed now. A first install for commands leaves out compilers, linters
 * and what tests compare with: 77 MB instead of 457 MB.
 */
export function prepareModules(needed: Extent = "commands"): void {
  const lock = Bun.hash(readFileSync(join(ROOT, "bun.lock"))).toString(16)
  const last = installed()
  const isEnough = last?.extent === "all" || needed === "commands"
  if (last?.lock === lock && isEnough) return
  // where modules were installed by hand nothing is taken away
  const isFirst = !existsSync(join(ROOT, "node_modules"))
  const extent = needed === "commands" && (isFirst || last?.extent === "commands") ? needed : "all"
  const flags = ["--frozen-lockfile", ...(extent === "commands" ? ["--production"] : [])]
  say(`installing node modules (bun install ${flags.join(" ")})`)
  const install = Bun.spawnSync(
    [process.execPath, "install", ...flags, ...(IS_QUIET ? ["--silent"] : [])],
    { cwd: ROOT, stdio: ["ignore", 2, 2] },
  )
  if (install.exitCode !== 0) fail(`bun install ${flags.join(" ")} failed in ${ROOT}`)
  writeFileSync(INSTALLED, `${lock} ${extent}`)
}
