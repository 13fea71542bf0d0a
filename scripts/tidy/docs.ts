import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { lineAt, type Finding, type SourceFile } from "./finding.ts"

const TOP_README_LINES = 150
const PACKAGE_README_LINES = 60
const PATH_LIKE = /^(?:packages|native|scripts|docs|tests|models|bench|\.ci)\/[\w./*{},-]+$/

function limitOf(path: string): number | undefined {
  if (path === "README.md") return TOP_README_LINES
  return /^(?:packages\/[\w-]+|native|scripts|tests)\/README\.md$/.test(path)
    ? PACKAGE_README_LINES
    : undefined
}

/** Paths that a document names: in backticks, and as targets of relative links. */
export function namedPaths(text: string): { path: string; line: number; isLink: boolean }[] {
  const quoted = [...text.matchAll(/`([^`\s]+)`/g)]
    .map((match) => ({
      path: (match[1] ?? "").replace(/[:#].*$/, ""),
      line: lineAt(text, match.index),
      isLink: false,
    }))
    .filter(({ path }) => PATH_LIKE.test(path))
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => ({
      path: (match[1] ?? "").replace(/#.*$/, ""),
      line: lineAt(text, match.index),
      isLink: true,
    }))
    .filter(({ path }) => path !== "" && !/^[a-z]+:/.test(path))
  return [...quoted, ...links]
}

const BUILT = /^native\/(?:dist|build)(?:\/|$)|(?:^|\/)\.reports(?:\/|$)/

function exists(root: string, path: string): boolean {
  if (BUILT.test(path)) return true // a fresh clone has no build outputs yet
  if (!/[*{]/.test(path)) return existsSync(join(root, path))
  return !new Bun.Glob(path).scanSync({ cwd: root, onlyFiles: false }).next().done
}

/** Documents stay short and name files that exist. */
export function checkDocs(root: string, file: SourceFile): Finding[] {
  if (!file.path.endsWith(".md")) return []
  const findings: Finding[] = []
  const limit = limitOf(file.path)
  const lines = file.text.split("\n").length - 1
  if (limit !== undefined && lines > limit)
    findings.push({
      check: "readme-size",
      path: file.path,
      line: 1,
      message: `${lines} lines; at most ${limit}`,
    })
  for (const named of namedPaths(file.text)) {
    const path = named.isLink ? join(dirname(file.path), named.path) : named.path
    if (!exists(root, path))
      findings.push({
        check: "docs",
        path: file.path,
        line: named.line,
        message: `names ${named.path}, which does not exist`,
      })
  }
  return findings
}

/** Name of a heading as links spell it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-")
}

/**
 * Code cites documents by heading, such as docs/numerics.md with an anchor; the heading has to be
 * there.
 */
export function checkAnchors(files: readonly SourceFile[]): Finding[] {
  const headings = new Map(
    files
      .filter(({ path }) => path.endsWith(".md"))
      .map(({ path, text }) => [
        path,
        new Set([...text.matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1] ?? ""))),
      ]),
  )
  return files
    .filter(({ path }) => !path.endsWith(".test.ts"))
    .flatMap((file) =>
      [...file.text.matchAll(/\b(docs\/[\w-]+\.md)#([\w-]+)/g)]
        .filter((match) => headings.get(match[1] ?? "")?.has(match[2] ?? "") !== true)
        .map((match) => ({
          check: "docs",
          path: file.path,
          line: lineAt(file.text, match.index),
          message: `cites ${match[0]}, which is no heading`,
        })),
    )
}

/** Every package says what it is. */
export function checkReadmes(root: string, packages: readonly string[]): Finding[] {
  return packages
    .filter((folder) => !existsSync(join(root, folder, "README.md")))
    .map((folder) => ({
      check: "readme",
      path: `${folder}/README.md`,
      line: 1,
      message: "is missing: purpose, smallest example, what it may import, how to test it",
    }))
}
