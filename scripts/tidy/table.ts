import { importCycles, includeCycles } from "./cycles.ts"
import type { Finding, SourceFile } from "./finding.ts"
import { functionSpans, lineCount } from "./sizes.ts"
import type { Language } from "./blank-source.ts"
import { wideLines } from "./width.ts"

const FUNCTION_LINES = 40
const FILE_LINES = 300

interface Column {
  readonly title: string
  readonly language: Language
  readonly pattern: RegExp
  readonly cycles: (files: readonly SourceFile[]) => Finding[]
}

const COLUMNS: readonly Column[] = [
  { title: "TypeScript", language: "typescript", pattern: /\.ts$/, cycles: importCycles },
  { title: "C++", language: "c++", pattern: /\.(?:c|cc|h|cu|cuh)$/, cycles: includeCycles },
]

/** Row title -> the figure of a column. */
const ROWS: Readonly<
  Record<string, (column: Column, sources: SourceFile[], all: readonly SourceFile[]) => number>
> = {
  files: (_, sources) => sources.length,
  lines: (_, sources) => sources.reduce((sum, file) => sum + lineCount(file.text), 0),
  "lines over 100 columns": (_, sources) => sources.flatMap(wideLines).length,
  cycles: ({ cycles }, _, all) => cycles(all).length,
  "functions over 40 lines": ({ language }, sources) =>
    sources
      .flatMap(({ text }) => functionSpans(text, language))
      .filter(({ lines }) => lines > FUNCTION_LINES).length,
  "files over 300 lines": (_, sources) =>
    sources.filter(({ text }) => lineCount(text) > FILE_LINES).length,
}

/** The state of a tree in figures, one column per language. */
export function sizeTable(files: readonly SourceFile[]): string {
  const cells = [
    ["", ...COLUMNS.map(({ title }) => title)],
    ...Object.entries(ROWS).map(([title, figure]) => [
      title,
      ...COLUMNS.map((column) =>
        String(
          figure(
            column,
            files.filter(({ path }) => column.pattern.test(path)),
            files,
          ),
        ),
      ),
    ]),
  ]
  return cells
    .map(([title = "", ...figures]) =>
      [title.padEnd(24), ...figures.map((figure) => figure.padStart(10))].join(""),
    )
    .join("\n")
}
