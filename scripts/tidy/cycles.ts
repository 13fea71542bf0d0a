import { dirname, join, normalize } from "node:path"
import { lineAt, type Finding, type SourceFile } from "./finding.ts"
import { importsOf } from "./imports-of.ts"
import { packageEntries, resolveImport } from "./package-entries.ts"

/** A file and the line on which another one names it. */
interface Edge {
  readonly target: string
  readonly line: number
}

type Graph = ReadonlyMap<string, readonly Edge[]>

/** Folders that `#include "..."` is searched in after the file's own. */
const INCLUDE_ROOTS = ["native/include", "native/src", "native/kt_bridge", "native/bench"]

function importGraph(files: readonly SourceFile[]): Graph {
  const entries = packageEntries(files)
  const sources = files.filter(({ path }) => path.endsWith(".ts"))
  const known = new Set(sources.map(({ path }) => path))
  return new Map(
    sources.map(({ path, text }) => [
      path,
      importsOf(text).flatMap(({ specifier, line }) => {
        const target = resolveImport(entries, path, specifier)
        return target !== undefined && known.has(target) ? [{ target, line }] : []
      }),
    ]),
  )
}

function includeGraph(files: readonly SourceFile[]): Graph {
  const sources = files.filter(({ path }) => /\.(?:c|cc|h|cu|cuh)$/.test(path))
  const known = new Set(sources.map(({ path }) => path))
  return new Map(
    sources.map(({ path, text }) => [
      path,
      [...text.matchAll(/^[ \t]*#\s*include\s+"([^"]+)"/gm)].flatMap((match) => {
        const target = [dirname(path), ...INCLUDE_ROOTS]
          .map((folder) => normalize(join(folder, match[1] ?? "")))
          .find((candidate) => known.has(candidate))
        return target === undefined ? [] : [{ target, line: lineAt(text, match.index) }]
      }),
    ]),
  )
}

/** The shortest way along edges from a file back to itself, without the file at the end. */
function cycleThrough(graph: Graph, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>()
  const queue = [start]
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (const { target } of graph.get(at) ?? []) {
      if (target === start) {
        const way = [at]
        for (let step = cameFrom.get(at); step !== undefined; step = cameFrom.get(step))
          way.unshift(step)
        return way
      }
      if (cameFrom.has(target)) continue
      cameFrom.set(target, at)
      queue.push(target)
    }
  }
  return undefined
}

function reachable(graph: Graph, start: string): ReadonlySet<string> {
  const seen = new Set<string>()
  const queue = [start]
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (const { target } of graph.get(at) ?? []) {
      if (seen.has(target)) continue
      seen.add(target)
      queue.push(target)
    }
  }
  return seen
}

/** For each knot of files that reach one another, a shortest cycle through its first file. */
function cyclesOf(graph: Graph): string[][] {
  const cycles: string[][] = []
  const isKnown = new Set<string>()
  for (const start of [...graph.keys()].sort()) {
    const way = isKnown.has(start) ? undefined : cycleThrough(graph, start)
    if (way === undefined) continue
    cycles.push(way)
    for (const other of reachable(graph, start))
      if (reachable(graph, other).has(start)) isKnown.add(other)
  }
  return cycles
}

function findingsOf(graph: Graph, check: string): Finding[] {
  return cyclesOf(graph).map((cycle) => {
    const [first = "", second = first] = cycle
    const edge = graph.get(first)?.find(({ target }) => target === second)
    const way = [...cycle.slice(1), first].join(" -> ")
    return { check, path: first, line: edge?.line ?? 1, message: `turns back: -> ${way}` }
  })
}

/** Import cycles of TypeScript, type-only and dynamic imports included. */
export const importCycles = (files: readonly SourceFile[]): Finding[] =>
  findingsOf(importGraph(files), "import-cycle")

/** Cycles of C++ includes, which guards hide from the compiler. */
export const includeCycles = (files: readonly SourceFile[]): Finding[] =>
  findingsOf(includeGraph(files), "include-cycle")
