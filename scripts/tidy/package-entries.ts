import { dirname, join } from "node:path"
import type { SourceFile } from "./finding.ts"

interface Manifest {
  readonly name?: string
  readonly exports?: Readonly<Record<string, string>>
  readonly bin?: string | Readonly<Record<string, string>>
  readonly scripts?: Readonly<Record<string, string>>
}

function manifests(files: readonly SourceFile[]): { folder: string; manifest: Manifest }[] {
  return files
    .filter(({ path }) => path === "package.json" || path.endsWith("/package.json"))
    .map(({ path, text }) => ({ folder: dirname(path), manifest: JSON.parse(text) as Manifest }))
}

/** Every entry of the workspace's packages: "@ds4/engine/testing" -> path. */
export function packageEntries(files: readonly SourceFile[]): ReadonlyMap<string, string> {
  return new Map(
    manifests(files).flatMap(({ folder, manifest: { name = "", exports = {} } }) =>
      Object.entries(exports).map(
        ([key, target]) => [join(name, key), join(folder, target)] as const,
      ),
    ),
  )
}

/** Files that a package starts: its programs, and those that its scripts name. */
export function startedFiles(files: readonly SourceFile[]): string[] {
  return manifests(files).flatMap(({ folder, manifest: { bin = {}, scripts = {} } }) => {
    const programs = typeof bin === "string" ? [bin] : Object.values(bin)
    const words = Object.values(scripts).flatMap((line) => line.split(/\s+/))
    return [...programs, ...words.filter((word) => word.endsWith(".ts"))].map((path) =>
      join(folder, path),
    )
  })
}

/** The file of ours that a specifier leads to, if any. */
export function resolveImport(
  entries: ReadonlyMap<string, string>,
  from: string,
  specifier: string,
): string | undefined {
  return specifier.startsWith(".") ? join(dirname(from), specifier) : entries.get(specifier)
}
