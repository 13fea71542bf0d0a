// Formats the tree, or checks that it is formatted: Biome for TypeScript, clang-format for C++.
// Usage: bun scripts/format.ts [--check]
import { createRequire } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const NATIVE_SOURCES = new Bun.Glob("{native,packages,tests}/**/*.{c,cc,h,cu,cuh}")
const NOT_OURS = /(?:^|\/)(?:node_modules|dist|build)\//

/** C, C++ and CUDA files of the repository, relative to its root. */
function nativeSources(): string[] {
  const paths = [...NATIVE_SOURCES.scanSync({ cwd: ROOT })]
  return paths.filter((path) => !NOT_OURS.test(path)).sort()
}

/** The clang-format binary that its npm package ships for this platform. */
function clangFormat(): string {
  const { clangFormatPath } = createRequire(import.meta.url)("clang-format-node") as {
    clangFormatPath: string
  }
  return clangFormatPath
}

function run(command: readonly string[]): boolean {
  const { exitCode } = Bun.spawnSync([...command], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  })
  return exitCode === 0
}

const isCheck = process.argv.includes("--check")
const biome = join(ROOT, "node_modules/.bin/biome")
const isTypeScriptGood = run([biome, "format", ...(isCheck ? [] : ["--write"]), "."])
const isNativeGood = run([
  clangFormat(),
  ...(isCheck ? ["--dry-run", "-Werror"] : ["-i"]),
  ...nativeSources(),
])
if (isTypeScriptGood && isNativeGood) process.exit(0)
console.error("not formatted; run: bun run format")
process.exit(1)
