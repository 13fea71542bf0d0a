import { commentSpans, type CommentSpan, type Language } from "./blank-source.ts"
import { lineAt, type Finding, type SourceFile } from "./finding.ts"

/** Words that one sentence of a comment may have. */
const SENTENCE_WORDS = 25
const TYPESCRIPT = /\.ts$/
const NATIVE = /\.(?:c|cc|h|cu|cuh)$/

/** One line of a comment without its marks; `indent` is the number of spaces behind the mark. */
interface CommentLine {
  readonly text: string
  readonly indent: number
  readonly line: number
  /** Whether code stands before the comment on its line. */
  readonly isTrailing: boolean
}

function linesOf(source: string, span: CommentSpan): CommentLine[] {
  const first = lineAt(source, span.begin)
  const before = source.slice(source.lastIndexOf("\n", span.begin - 1) + 1, span.begin)
  const raw = source.slice(span.begin, span.end)
  const body = raw.startsWith("//") ? raw.replace(/^\/\/[/!]?/, "") : raw.replace(/\*+\/$/, "")
  return body.split("\n").map((text, index) => {
    const bare = text.replace(/^\s*(?:\/\*+|\*)/, "").trimEnd()
    return {
      text: bare.trimStart(),
      indent: bare.length - bare.trimStart().length,
      line: first + index,
      isTrailing: index === 0 && before.trim() !== "",
    }
  })
}

/** A drawing, a table or a piece of code: indented, or without words in a row. */
const isDrawn = ({ text, indent }: CommentLine): boolean =>
  indent >= 3 || /^[|+]|\s{3,}\S/.test(text)

const BEGINS_ANEW = /^(?:[-*] |\d+[.)] |@\w+|Usage:)/

/** Lines that read on from one another, as one text each. */
function paragraphs(lines: readonly CommentLine[]): CommentLine[][] {
  const result: CommentLine[][] = []
  let last: CommentLine | undefined
  for (const line of lines) {
    if (line.text === "" || isDrawn(line)) {
      last = undefined
      continue
    }
    const readsOn =
      last !== undefined &&
      line.line === last.line + 1 &&
      !line.isTrailing &&
      !BEGINS_ANEW.test(line.text)
    if (readsOn) result.at(-1)?.push(line)
    else result.push([line])
    last = line
  }
  return result
}

interface Sentence {
  readonly words: number
  readonly line: number
}

const ABBREVIATION = /\b(?:e\.g|i\.e|etc|cf|vs|Fig|Eq|Sec)\.$/

/** Sentences of a paragraph; a word is whatever contains a letter or a digit. */
export function sentencesOf(paragraph: readonly Pick<CommentLine, "text" | "line">[]): Sentence[] {
  const sentences: Sentence[] = []
  let words = 0
  let line = paragraph[0]?.line ?? 0
  for (const each of paragraph) {
    const quoted = each.text.replace(/`[^`]*`/g, (code) => `code${code.at(-2) ?? ""}`)
    for (const word of quoted.split(/\s+/)) {
      if (words === 0) line = each.line
      if (/[\p{L}\p{N}]/u.test(word)) words += 1
      if (!/[.!?]["')\]]*$/.test(word) || ABBREVIATION.test(word)) continue
      sentences.push({ words, line })
      words = 0
    }
  }
  return words > 0 ? [...sentences, { words, line }] : sentences
}

function checkLines(path: string, lines: readonly CommentLine[]): Finding[] {
  return lines
    .filter(({ text }) => /^(?:What|Of) /.test(text))
    .map(({ text, line }) => ({
      check: "comment-words",
      path,
      line,
      message: `a comment begins with "${text.slice(0, 40)}"; write a sentence with a subject`,
    }))
}

/** Comments are sentences of at most 25 words that do not begin with "What" or "Of". */
export function checkComments(file: SourceFile): Finding[] {
  const language: Language | undefined = TYPESCRIPT.test(file.path)
    ? "typescript"
    : NATIVE.test(file.path)
      ? "c++"
      : undefined
  if (language === undefined) return []
  const spans = commentSpans(file.text, language)
  const lines = spans.flatMap((span) => linesOf(file.text, span))
  const long = paragraphs(lines)
    .flatMap(sentencesOf)
    .filter(({ words }) => words > SENTENCE_WORDS)
    .map(({ words, line }) => ({
      check: "comment-length",
      path: file.path,
      line,
      message: `a sentence of ${words} words; at most ${SENTENCE_WORDS}`,
    }))
  return [...checkLines(file.path, lines), ...long].sort((a, b) => a.line - b.line)
}
