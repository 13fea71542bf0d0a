import { blankSource, type Language } from "./blank-source.ts"
import { lineAt, type Finding, type SourceFile } from "./finding.ts"

interface Limits {
  readonly file: number
  readonly function: number
}

const LIMITS: readonly {
  readonly extension: RegExp
  readonly language: Language
  readonly limits: Limits
}[] = [
  { extension: /\.ts$/, language: "typescript", limits: { file: 400, function: 70 } },
  { extension: /\.(?:cu|cuh)$/, language: "c++", limits: { file: 500, function: 70 } },
  { extension: /\.(?:cc|h)$/, language: "c++", limits: { file: 600, function: 70 } },
]
const DEVICE_BODY_LIMIT = 200 // a __global__ kernel is written as stages in one body

const NOT_FUNCTIONS = new Set([
  "if",
  "for",
  "while",
  "switch",
  "catch",
  "with",
  "constexpr",
  "describe",
  "sizeof",
  "alignas",
])

interface FunctionSpan {
  readonly name: string
  readonly line: number
  readonly lines: number
  readonly isDevice: boolean
}

/** Index of the parenthesis that opens what the one at `close` closes, or -1. */
function openingOf(text: string, close: number): number {
  let depth = 0
  for (let at = close; at >= 0; at--) {
    if (text[at] === ")") depth += 1
    if (text[at] === "(" && --depth === 0) return at
  }
  return -1
}

/**
 * The name of the function whose body opens at `brace`, or undefined when it is another kind of
 * block.
 */
function functionName(code: string, brace: number, language: Language): string | undefined {
  const head = code.slice(Math.max(0, brace - 2000), brace).trimEnd()
  if (language === "typescript" && head.endsWith("=>")) {
    const before = head.slice(0, -2).trimEnd()
    const isContainer = /\bdescribe(?:\.\w+)*\(/.test(before.slice(before.lastIndexOf("\n") + 1))
    return isContainer ? undefined : (/([\w$]+)\s*[:=]?[^=\n]*$/.exec(before)?.[1] ?? "arrow")
  }
  const tail =
    language === "typescript"
      ? /\)(?:\s*:\s*[^;{}()=]+)?$/
      : /\)(?:\s*(?:const|noexcept|override|final|mutable|&|->\s*[\w:<>*&\s]+))*$/
  const match = tail.exec(head)
  if (match === null) return undefined
  const open = openingOf(head, match.index)
  const name = /([\w$~]+|[\])])\s*(?:<[^()]*>)?$/.exec(
    head.slice(0, Math.max(0, open)).trimEnd(),
  )?.[1]
  return name === undefined || NOT_FUNCTIONS.has(name) ? undefined : name
}

/** Every function body of a file with its length in lines. */
export function functionSpans(text: string, language: Language): FunctionSpan[] {
  const code = blankSource(text, language)
  const open: { index: number; name: string | undefined }[] = []
  const spans: FunctionSpan[] = []
  for (let at = 0; at < code.length; at++) {
    if (code[at] === "{") open.push({ index: at, name: functionName(code, at, language) })
    if (code[at] !== "}") continue
    const block = open.pop()
    if (block?.name === undefined) continue
    const line = lineAt(code, block.index)
    const head = code.slice(Math.max(0, block.index - 400), block.index)
    const isDevice = head
      .slice(Math.max(head.lastIndexOf("}"), head.lastIndexOf(";")))
      .includes("__global__")
    spans.push({ name: block.name, line, lines: lineAt(code, at) - line + 1, isDevice })
  }
  return spans
}

/** Number of lines of a text, whether its last one ends with a newline or not. */
export function lineCount(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0)
}

/** Files and functions that are too long to be read in a sitting. */
export function checkSizes(file: SourceFile): Finding[] {
  const rule = LIMITS.find(({ extension }) => extension.test(file.path))
  if (rule === undefined) return []
  const lines = lineCount(file.text)
  const findings: Finding[] = []
  if (lines > rule.limits.file) {
    findings.push({
      check: "file-size",
      path: file.path,
      line: 1,
      message: `${lines} lines; at most ${rule.limits.file}`,
    })
  }
  for (const span of functionSpans(file.text, rule.language)) {
    const limit = span.isDevice ? DEVICE_BODY_LIMIT : rule.limits.function
    if (span.lines <= limit) continue
    findings.push({
      check: "function-size",
      path: file.path,
      line: span.line,
      message: `${span.name} has ${span.lines} lines; at most ${limit}`,
    })
  }
  return findings
}
