import { blankSource } from "./blank-source.ts"
import { lineAt, type Finding, type SourceFile } from "./finding.ts"

const VAGUE_FOLDERS = /(?:^|\/)(utils?|helpers?|common|misc)\//
const CODE = /\.(?:ts|cc|h|cu|cuh|cmake)$/

interface WordRule {
  readonly check: string
  readonly pattern: RegExp
  readonly message: string
  readonly files: RegExp
}

const RULES: readonly WordRule[] = [
  {
    check: "todo",
    pattern: /\b(?:TODO(?!\(#\d+\):)|FIXME|XXX|HACK)\b/g,
    message: "an open point needs its number: TODO(#123):",
    files: CODE,
  },
  {
    check: "suppression",
    pattern: /(?:@ts-ignore|@ts-nocheck|@ts-expect-error(?! \S))/g,
    message: "type errors are fixed, or expected with a reason on the line",
    files: /\.ts$/,
  },
  {
    check: "suppression",
    pattern: /(?:eslint|oxlint)-disable[\w-]*(?![^\n]*--\s*\S)/g,
    message: "a disabled rule needs a reason: -- why",
    files: /\.ts$/,
  },
  {
    check: "machine-path",
    pattern: /(?<![\w.])\/(?:work|root|home\/\w+)\/[\w.-]/g,
    message: "a path of one machine",
    files: /\.(?:ts|cc|h|md|json|txt|sh|cmake)$/,
  },
  {
    check: "banner",
    pattern: /^\s*(?:\/\/|#|\*)\s*[=#*-]{20,}\s*$/gm,
    message: "banners are noise",
    files: CODE,
  },
]

/** `value!` says that a value is there; the line has to say why. */
const NON_NULL = /[\w)\]]!(?=[.,;)\]\s[]|$)(?!\s*=)/g

function checkNonNull(file: SourceFile): Finding[] {
  const code = blankSource(file.text, "typescript").split("\n")
  const lines = file.text.split("\n")
  return code.flatMap((line, index) => {
    NON_NULL.lastIndex = 0
    const isReasoned = (lines[index] ?? "").includes("//")
    if (!NON_NULL.test(line) || isReasoned) return []
    return [
      {
        check: "non-null",
        path: file.path,
        line: index + 1,
        message: "a non-null ! needs a reason on the line",
      },
    ]
  })
}

/** Words and names that do not belong in the tree. */
export function checkWords(file: SourceFile): Finding[] {
  const findings: Finding[] = []
  const folder = VAGUE_FOLDERS.exec(file.path)?.[1]
  if (folder !== undefined)
    findings.push({
      check: "folder-name",
      path: file.path,
      line: 1,
      message: `a folder named ${folder} says nothing; name the concept`,
    })
  for (const rule of RULES) {
    if (!rule.files.test(file.path)) continue
    for (const match of file.text.matchAll(rule.pattern)) {
      findings.push({
        check: rule.check,
        path: file.path,
        line: lineAt(file.text, match.index),
        message: `${match[0].trim()}: ${rule.message}`,
      })
    }
  }
  return file.path.endsWith(".ts") ? [...findings, ...checkNonNull(file)] : findings
}
