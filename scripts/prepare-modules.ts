// Checks bun's version and installs node modules on a fresh clone. Imports nothing that has to be
// installed.
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const INSTALLED = join(ROOT, "node_modules/.ds4-installed")

/** Tells on stderr: stdout may be data. */
export function say(text: string): void {
  process.stderr.write(`ds4: ${text}\n`)
}

/** Ends the process with status 1. */
export function fail(text: string): never {
  say(text)
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

/**
 * Installs node modules when there are none, or when bun.lock has changed since the last install.
 */
export function prepareModules(): void {
  const lock = Bun.hash(readFileSync(join(ROOT, "bun.lock"))).toString(16)
  const isCurrent = existsSync(INSTALLED) && readFileSync(INSTALLED, "utf8") === lock
  if (isCurrent) return
  say("installing node modules (bun install --frozen-lockfile)")
  const install = Bun.spawnSync([process.execPath, "install", "--frozen-lockfile"], {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
  })
  if (install.exitCode !== 0) fail("bun install failed; its message is above")
  writeFileSync(INSTALLED, lock)
}
