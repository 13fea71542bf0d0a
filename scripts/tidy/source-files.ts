import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { SourceFile } from "./finding.ts"

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
const CHECKED = /\.(?:ts|c|cc|h|cu|cuh|cmake|md|txt|sh)$|(?:^|\/)(?:package|turbo)\.json$/

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
