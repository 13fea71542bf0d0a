import { blankSource } from "./blank-source.ts"
import { lineAt } from "./finding.ts"

/** One place where a TypeScript source names another module. */
export interface Import {
  readonly specifier: string
  /** Only types come in; such an import is gone at run time. */
  readonly isType: boolean
  readonly line: number
  /** Names that the source takes from the module, as that calls them; "*" stands for all. */
  readonly names: readonly string[]
  /** Re-exports: the name here -> the name there. */
  readonly reexports: ReadonlyMap<string, string>
}

const STATIC = /\b(import|export)\b(\s+type\b)?([^"';]*?)\bfrom\s*["']([^"']+)["']/g
/** `await import("x")` and the type `import("x").Name`. */
const DYNAMIC = /\bimport\s*\(\s*["']([^"']+)["']\s*\)/g
const BARE = /\bimport\s*["']([^"']+)["']/g

/** The parts of `{ a, type b, c as d }`: name there and name here. */
function listed(clause: string): [string, string][] {
  const inner = /\{([^}]*)\}/.exec(clause)?.[1] ?? ""
  return inner
    .split(",")
    .map((part) => part.trim().replace(/^type\s+/, ""))
    .filter((part) => part !== "")
    .map((part) => {
      const [there = "", here = there] = part.split(/\s+as\s+|\s*:\s*/)
      return [there, here]
    })
}

function namesOf(clause: string): string[] {
  if (clause.includes("*")) return ["*"]
  const isDefault = /^\s*\w/.test(clause)
  return [...(isDefault ? ["default"] : []), ...listed(clause).map(([there]) => there)]
}

/** Names that the code around a dynamic import takes: destructured before it, or behind a point. */
function dynamicNames(text: string, begin: number, end: number): string[] {
  const before = text.slice(Math.max(0, begin - 500), begin)
  const destructured = /\b(?:const|let)\s*(\{[^{}]*\})\s*=\s*await\s*$/.exec(before)?.[1]
  if (destructured !== undefined) return listed(destructured).map(([there]) => there)
  const member = /^\)?\s*\.(\w+)/.exec(text.slice(end, end + 100))?.[1]
  return [member ?? "*"]
}

function reexportsOf(keyword: string, clause: string): Map<string, string> {
  if (keyword !== "export") return new Map()
  if (/^\s*\*\s*$/.test(clause)) return new Map([["*", "*"]])
  return new Map(listed(clause).map(([there, here]) => [here, there]))
}

/** Every import and re-export of a source, type-only and dynamic ones included. */
export function importsOf(text: string): Import[] {
  const code = blankSource(text, "typescript")
  const isCode = ({ index }: RegExpExecArray): boolean => code[index] === text[index]
  const found = (pattern: RegExp, read: (match: RegExpExecArray) => Omit<Import, "line">) =>
    [...text.matchAll(pattern)]
      .filter(isCode)
      .map((match) => ({ ...read(match), line: lineAt(text, match.index) }))
  const reexports = new Map<string, string>()
  return [
    ...found(STATIC, ([, keyword = "", type, clause = "", specifier = ""]) => ({
      specifier,
      isType: type !== undefined,
      names: namesOf(clause),
      reexports: reexportsOf(keyword, clause),
    })),
    ...found(DYNAMIC, (match) => ({
      specifier: match[1] ?? "",
      isType: false,
      names: dynamicNames(text, match.index, match.index + match[0].length),
      reexports,
    })),
    ...found(BARE, (match) => ({ specifier: match[1] ?? "", isType: false, names: [], reexports })),
  ]
}
