import { dirname, join } from "node:path"
import { blankSource } from "./blank-source.ts"
import { lineAt, type Finding, type SourceFile } from "./finding.ts"
import { importsOf, type Import } from "./imports-of.ts"
import { packageEntries, resolveImport, startedFiles } from "./package-entries.ts"

const KINDS = "function\\*?|const|let|class|interface|type|enum"
const DECLARED = new RegExp(
  `^export\\s+(?:declare\\s+|abstract\\s+|async\\s+)?(?:${KINDS})\\s+([\\w$]+)`,
  "gm",
)
const LISTED = /^export\s+(?:type\s+)?\{([^}]*)\}(?!\s*from)/gm

/** Sources whose exports are for tests. */
const TEST = /\.test\.ts$/
const TEST_SUPPORT = /(?:^|\/)(?:testing|test|tests|bench)\//

interface Module {
  readonly path: string
  readonly code: string
  /** Name -> line. */
  readonly exports: ReadonlyMap<string, number>
  /** The imports that lead to files of ours. */
  readonly imports: readonly (Import & { readonly target: string })[]
  /** Files that texts of the code name, such as those of workers. */
  readonly named: readonly string[]
}

/** Names that a source exports, re-exports aside, with their lines. */
function exportsOf(text: string): Map<string, number> {
  const code = blankSource(text, "typescript")
  const names = new Map<string, number>()
  for (const match of code.matchAll(DECLARED)) names.set(match[1] ?? "", lineAt(code, match.index))
  for (const match of code.matchAll(LISTED))
    for (const part of (match[1] ?? "").split(","))
      if (part.trim() !== "")
        names.set(part.trim().split(/\s+/).at(-1) ?? "", lineAt(code, match.index))
  return names
}

function modulesOf(files: readonly SourceFile[]): Map<string, Module> {
  const entries = packageEntries(files)
  const sources = files.filter(({ path }) => path.endsWith(".ts"))
  const known = new Set(sources.map(({ path }) => path))
  return new Map(
    sources.map(({ path, text }) => {
      const imports = importsOf(text).flatMap((each) => {
        const target = resolveImport(entries, path, each.specifier)
        return target !== undefined && known.has(target) ? [{ ...each, target }] : []
      })
      const named = [...text.matchAll(/["'`]([\w./-]+\.ts)["'`]/g)]
        .flatMap((match) => [join(dirname(path), match[1] ?? ""), match[1] ?? ""])
        .filter((target) => known.has(target))
      const code = blankSource(text, "typescript")
      return [path, { path, code, exports: exportsOf(text), imports, named }]
    }),
  )
}

/** Files from which everything that is used is reached. */
function rootsOf(files: readonly SourceFile[]): Set<string> {
  const documents = files.filter(({ path }) => path.endsWith(".md"))
  const named = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/[\w./-]+\.ts\b/g)].flatMap(([name]) => [name, join(dirname(path), name)]),
  )
  return new Set([
    ...packageEntries(files).values(),
    ...startedFiles(files),
    ...files.map(({ path }) => path).filter((path) => TEST.test(path)),
    ...named,
  ])
}

/** TypeScript that no entry, test, package script or document reaches. */
function unreachedFiles(modules: ReadonlyMap<string, Module>, roots: Iterable<string>): Finding[] {
  const reached = new Set<string>()
  const queue = [...roots]
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const module = modules.get(at)
    if (module === undefined || reached.has(at)) continue
    reached.add(at)
    queue.push(...module.imports.map(({ target }) => target), ...module.named)
  }
  return [...modules.keys()]
    .filter((path) => !reached.has(path) && !path.endsWith(".d.ts"))
    .map((path) => ({
      check: "unreferenced",
      path,
      line: 1,
      message: "no entry, test, package script or document leads to this file",
    }))
}

/** Marks a name of a file and whatever it is re-exported from. */
function mark(
  modules: ReadonlyMap<string, Module>,
  used: Map<string, Set<string>>,
  path: string,
  name: string,
): void {
  const names = used.get(path) ?? new Set()
  used.set(path, names)
  if (names.has(name)) return
  names.add(name)
  for (const { target, reexports } of modules.get(path)?.imports ?? []) {
    const there = name === "*" ? undefined : reexports.get(name)
    if (there !== undefined) mark(modules, used, target, there)
    else if (reexports.has("*")) mark(modules, used, target, name)
    if (name === "*") for (const each of reexports.values()) mark(modules, used, target, each)
  }
}

/** File -> names of it that some of the modules import. */
function namesUsedBy(
  modules: ReadonlyMap<string, Module>,
  users: Iterable<Module>,
): Map<string, Set<string>> {
  const used = new Map<string, Set<string>>()
  for (const { imports } of users)
    for (const { target, names, reexports } of imports)
      if (reexports.size === 0) for (const name of names) mark(modules, used, target, name)
  return used
}

/** Exports that nothing imports, and those that only tests do and their own file does not use. */
function unusedExports(
  modules: ReadonlyMap<string, Module>,
  entries: ReadonlySet<string>,
): Finding[] {
  const isTest = (path: string): boolean => TEST.test(path) || TEST_SUPPORT.test(path)
  const all = [...modules.values()]
  const byProduct = namesUsedBy(
    modules,
    all.filter(({ path }) => !isTest(path)),
  )
  const byTests = namesUsedBy(
    modules,
    all.filter(({ path }) => isTest(path)),
  )
  for (const path of entries) mark(modules, byProduct, path, "*")
  const has = (used: Map<string, Set<string>>, path: string, name: string): boolean =>
    used.get(path)?.has(name) === true || used.get(path)?.has("*") === true
  return all.flatMap(({ path, code, exports }) =>
    [...exports].flatMap(([name, line]) => {
      if (has(byProduct, path, name)) return []
      const finding = (message: string) => [{ check: "unreferenced", path, line, message }]
      if (!has(byTests, path, name))
        return finding(`nothing imports ${name}; make it private or remove it`)
      const isUsedHere =
        (code.match(new RegExp(`(?<![\\w$])${name}(?![\\w$])`, "g")) ?? []).length > 1
      return isTest(path) || isUsedHere ? [] : finding(`only tests use ${name}; remove it`)
    }),
  )
}

/** C++ headers that nothing includes; the public ones aside. */
function unincludedHeaders(files: readonly SourceFile[]): Finding[] {
  const included = new Set(
    files
      .filter(({ path }) => /\.(?:c|cc|h|cu|cuh|ts)$/.test(path))
      .flatMap(({ text }) => [...text.matchAll(/#\s*include\s+"([^"]+)"/g)])
      .map((match) => (match[1] ?? "").split("/").at(-1)),
  )
  return files
    .filter(({ path }) => /\.(?:h|cuh)$/.test(path) && !path.startsWith("native/include/"))
    .filter(({ path }) => !included.has(path.split("/").at(-1)))
    .map(({ path }) => ({
      check: "unreferenced",
      path,
      line: 1,
      message: "nothing includes this header",
    }))
}

/** Files and exports that nothing leads to. */
export function checkReferences(files: readonly SourceFile[]): Finding[] {
  const modules = modulesOf(files)
  return [
    ...unreachedFiles(modules, rootsOf(files)),
    ...unusedExports(modules, new Set(packageEntries(files).values())),
    ...unincludedHeaders(files),
  ]
}
