// Checks the house rules that compilers and linters do not know: sizes, import arrows, names,
// words, documents.
// Usage: bun scripts/tidy.ts [--help]
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { checkAnchors, checkDocs, checkReadmes } from "./tidy/docs.ts"
import { applyExemptions, parseExemptions } from "./tidy/exemptions.ts"
import type { Finding, SourceFile } from "./tidy/finding.ts"
import { checkImports } from "./tidy/imports.ts"
import { checkSizes } from "./tidy/sizes.ts"
import { checkWords } from "./tidy/words.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const SKIPPED = new Set([
  "node_modules",
  "dist",
  "build",
  ".git",
  ".turbo",
  ".reports",
  "vectors",
  "models",
  "fixtures",
])
const CHECKED = /\.(?:ts|cc|h|cu|cuh|cmake|md|txt|sh)$|(?:^|\/)(?:package|turbo)\.json$/

/** All files under a folder that the checks look at, with paths relative to the root. */
export function sourceFiles(root: string, folder = ""): SourceFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : sourceFiles(root, path)
    return entry.isFile() && CHECKED.test(path)
      ? [{ path, text: readFileSync(join(root, path), "utf8") }]
      : []
  })
}

/** Folders that are packages of the workspace. */
function packageFolders(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => path.endsWith("/package.json"))
    .map(({ path }) => path.slice(0, -"/package.json".length))
}

/** All findings of a tree, exemptions applied. */
export function checkTree(root: string, exemptions: string): Finding[] {
  const files = sourceFiles(root)
  const findings = files.flatMap((file) => [
    ...checkSizes(file),
    ...checkImports(file),
    ...checkWords(file),
    ...checkDocs(root, file),
  ])
  return applyExemptions(
    [...findings, ...checkAnchors(files), ...checkReadmes(root, packageFolders(files))],
    parseExemptions(exemptions),
  )
}

if (import.meta.main) {
  if (process.argv.includes("--help")) {
    console.log(
      "usage: bun scripts/tidy.ts\nPrints every broken house rule as PATH:LINE: CHECK: MESSAGE " +
        "and exits 1 if there is one.\nExemptions with reasons: tidy.config.json",
    )
    process.exit(0)
  }
  const findings = checkTree(ROOT, readFileSync(join(ROOT, "tidy.config.json"), "utf8"))
  for (const { path, line, check, message } of findings)
    console.log(`${path}:${line}: ${check}: ${message}`)
  console.log(findings.length === 0 ? "tidy: no findings" : `tidy: ${findings.length} findings`)
  process.exit(findings.length === 0 ? 0 : 1)
}
