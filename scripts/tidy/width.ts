import type { Finding, SourceFile } from "./finding.ts"

const COLUMNS = 100
const SOURCE = /\.(?:ts|c|cc|h|cu|cuh)$/

/** Lines of a source with more than 100 code points. */
export function wideLines({ path, text }: SourceFile): { line: number; columns: number }[] {
  if (!SOURCE.test(path)) return []
  return text
    .split("\n")
    .map((content, index) => ({ line: index + 1, columns: Array.from(content).length }))
    .filter(({ columns }) => columns > COLUMNS)
}

/** The formatters leave long texts, expressions in templates and comments as they are. */
export function checkWidth(file: SourceFile): Finding[] {
  return wideLines(file).map(({ line, columns }) => ({
    check: "line-width",
    path: file.path,
    line,
    message: `${columns} columns; at most ${COLUMNS}`,
  }))
}
