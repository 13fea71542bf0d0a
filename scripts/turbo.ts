// Runs a turbo task with the compilers' identity in every hash: turbo hashes sources, not the tools
// that read them.
// Usage: bun scripts/turbo.ts TASK... [turbo flags]
import { fileURLToPath } from "node:url"
import { checkBunVersion, prepareModules } from "./prepare-modules.ts"
import { prepareTinyModels } from "./prepare-tiny-models.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))

/** First lines of a tool's version output, or "none" when it cannot be started. */
function toolVersion(command: string[]): string {
  try {
    const run = Bun.spawnSync(command, { stdio: ["ignore", "pipe", "pipe"] })
    return `${run.exitCode} ${run.stdout.toString()}${run.stderr.toString()}`
  } catch {
    return "none"
  }
}

/** A short hash of everything outside the tree that decides what a build produces. */
function toolchainIdentity(): string {
  const facts = [
    Bun.version,
    process.arch,
    process.platform,
    toolVersion([process.env.CC ?? "cc", "--version"]),
    toolVersion([process.env.CXX ?? "c++", "--version"]),
    toolVersion(["cmake", "--version"]),
  ]
  return Bun.hash(facts.join("\n")).toString(16)
}

/**
 * Runs `turbo run` with the given arguments and returns its exit code. Output goes to this
 * process's stdout, or to stderr when `quiet`, so that commands whose stdout is data can build
 * first.
 */
export function turbo(args: readonly string[], options: { quiet?: boolean } = {}): number {
  const run = Bun.spawnSync([process.execPath, "x", "--no-install", "turbo", "run", ...args], {
    cwd: ROOT,
    env: { ...process.env, DS4_TOOLCHAIN_ID: toolchainIdentity(), TURBO_TELEMETRY_DISABLED: "1" },
    stdio: ["ignore", options.quiet === true ? 2 : "inherit", "inherit"],
  })
  return run.exitCode ?? 1
}

if (import.meta.main) {
  checkBunVersion()
  prepareModules("all")
  await prepareTinyModels()
  process.exit(turbo(process.argv.slice(2)))
}
