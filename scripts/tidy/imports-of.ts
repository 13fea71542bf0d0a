import { blankSource } from "./blank-source.ts"
import { lineAt } from "./finding.ts"

/** One place where a TypeScript source names another module. */
export interface Import {
  readonly specifier: string
  /** Only types come in; such an import is gone at run time. */
  readonly isType: boolean
  readonly line: number
}

const STATIC = /\b(?:import|export)\b(\s+type\b)?[^"';]*?\bfrom\s*["']([^"']+)["']/g
/** `await import("x")` and the type `import("x").Name`. */
const DYNAMIC = /\bimport\s*\(\s*["']([^"']+)["']\s*\)/g
const BARE = /\bimport\s*["']([^"']+)["']/g

/** Every import and re-export of a source, type-only and dynamic ones included. */
export function importsOf(text: string): Import[] {
  const code = blankSource(text, "typescript")
  const isCode = ({ index }: RegExpExecArray): boolean => code[index] === text[index]
  const found = (pattern: RegExp, read: (match: RegExpExecArray) => Omit<Import, "line">) =>
    [...text.matchAll(pattern)]
      .filter(isCode)
      .map((match) => ({ ...read(match), line: lineAt(text, match.index) }))
  return [
    ...found(STATIC, (match) => ({ specifier: match[2] ?? "", isType: match[1] !== undefined })),
    ...found(DYNAMIC, (match) => ({ specifier: match[1] ?? "", isType: false })),
    ...found(BARE, (match) => ({ specifier: match[1] ?? "", isType: false })),
  ]
}
