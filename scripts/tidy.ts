// Checks the house rules that compilers and linters do not know: sizes, widths, import arrows and
// cycles, comments, names, documents, unreferenced code, subjects of commits.
// Usage: bun scripts/tidy.ts [--comments [PATH...] | --references | --table] [--root DIR]
import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { checkComments } from "./tidy/comments.ts"
import { checkCommits } from "./tidy/commits.ts"
import { importCycles, includeCycles } from "./tidy/cycles.ts"
import { checkAnchors, checkDocs, checkReadmes } from "./tidy/docs.ts"
import { applyExemptions, parseConfig } from "./tidy/exemptions.ts"
import type { Finding, SourceFile } from "./tidy/finding.ts"
import { checkImports } from "./tidy/imports.ts"
import { checkReferences } from "./tidy/references.ts"
import { checkSizes } from "./tidy/sizes.ts"
import { sourceFiles } from "./tidy/source-files.ts"
import { sizeTable } from "./tidy/table.ts"
import { checkWidth } from "./tidy/width.ts"
import { checkWords } from "./tidy/words.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const HELP = `usage: bun scripts/tidy.ts [MODE] [--root DIR]
Prints every broken house rule as PATH:LINE: CHECK: MESSAGE and exits 1 if there is one.
Exemptions with reasons: tidy.config.json
Modes:
  --comments [PATH...]  only the rules for comments, below the paths, with counts
  --references          only files and exports that nothing leads to
  --table               figures of the tree: wide lines, cycles, long functions and files
  --root                checks this tree instead of its own`

/** Folders that are packages of the workspace. */
function packageFolders(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => path.endsWith("/package.json"))
    .map(({ path }) => path.slice(0, -"/package.json".length))
}

/** All findings of a tree, exemptions applied; `configText` is that of tidy.config.json. */
export function checkTree(root: string, configText: string): Finding[] {
  const files = sourceFiles(root)
  const config = parseConfig(configText)
  const findings = files.flatMap((file) => [
    ...checkSizes(file),
    ...checkWidth(file),
    ...checkComments(file),
    ...checkImports(file),
    ...checkWords(file),
    ...checkDocs(root, file),
  ])
  const ofTree = [
    ...checkAnchors(files),
    ...checkReadmes(root, packageFolders(files)),
    ...importCycles(files),
    ...includeCycles(files),
    ...checkReferences(files),
    ...(config.commitsAfter === undefined ? [] : checkCommits(root, config.commitsAfter)),
  ]
  return applyExemptions([...findings, ...ofTree], config.exempt)
}

function print(findings: readonly Finding[]): void {
  for (const { path, line, check, message } of findings)
    console.log(`${path}:${line}: ${check}: ${message}`)
}

/** Findings per folder, at most four folders deep, the most first. */
function countFolders(findings: readonly Finding[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const { path } of findings) {
    const folder = path.split("/").slice(0, -1).slice(0, 4).join("/")
    counts.set(folder, (counts.get(folder) ?? 0) + 1)
  }
  return [...counts].sort((a, b) => b[1] - a[1])
}

function printComments(root: string, below: readonly string[]): void {
  const findings = sourceFiles(root)
    .filter(({ path }) => below.length === 0 || below.some((folder) => path.startsWith(folder)))
    .flatMap(checkComments)
  print(findings)
  for (const [folder, count] of countFolders(findings))
    console.log(`${String(count).padStart(5)} ${folder}`)
  console.log(`${String(findings.length).padStart(5)} in all`)
}

/** Runs the command line; returns the exit status. */
function main(args: readonly string[]): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      comments: { type: "boolean" },
      help: { type: "boolean" },
      references: { type: "boolean" },
      root: { type: "string" },
      table: { type: "boolean" },
    },
  })
  const root = values.root === undefined ? ROOT : resolve(values.root)
  if (values.help === true) console.log(HELP)
  else if (values.table === true) console.log(sizeTable(sourceFiles(root)))
  else if (values.references === true) print(checkReferences(sourceFiles(root)))
  else if (values.comments === true) printComments(root, positionals)
  else {
    const findings = checkTree(root, readFileSync(join(root, "tidy.config.json"), "utf8"))
    print(findings)
    console.log(findings.length === 0 ? "tidy: no findings" : `tidy: ${findings.length} findings`)
    return findings.length === 0 ? 0 : 1
  }
  return 0
}

if (import.meta.main) process.exit(main(process.argv.slice(2)))
