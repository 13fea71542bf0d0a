// Blanks out what is not code, so that the checks can look at braces and words without parsing.

export type Language = "typescript" | "c++"

/** Text before a slash that begins a regular expression and not a division. */
const REGEX_BEFORE =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|throw|await|yield))\s*$/

interface Scan {
  readonly source: string
  readonly language: Language
  readonly out: string[]
  readonly comments: CommentSpan[]
  at: number
}

/** Where a comment stands in its source: from its first slash to behind its last character. */
export interface CommentSpan {
  readonly begin: number
  readonly end: number
}

function blank(scan: Scan, end: number): void {
  for (; scan.at < end; scan.at++) scan.out.push(scan.source[scan.at] === "\n" ? "\n" : " ")
}

function comment(scan: Scan, end: number): void {
  scan.comments.push({ begin: scan.at, end })
  blank(scan, end)
}

function keep(scan: Scan): void {
  scan.out.push(scan.source.charAt(scan.at))
  scan.at += 1
}

/** Index just after a quoted text that begins at `begin`. */
function quotedEnd(source: string, begin: number): number {
  const quote = source[begin]
  let at = begin + 1
  while (at < source.length && source[at] !== quote && source[at] !== "\n")
    at += source[at] === "\\" ? 2 : 1
  return Math.min(source.length, at + 1)
}

/** Index just after a regular expression literal. */
function regexEnd(source: string, begin: number): number {
  let isInClass = false
  for (let at = begin + 1; at < source.length; at++) {
    const character = source[at]
    if (character === "\\") at += 1
    else if (character === "[") isInClass = true
    else if (character === "]") isInClass = false
    else if (character === "\n") return at
    else if (character === "/" && !isInClass) return at + 1
  }
  return source.length
}

/** Blanks a template's text and keeps the code in its ${} parts. */
function template(scan: Scan): void {
  blank(scan, scan.at + 1)
  while (scan.at < scan.source.length && scan.source[scan.at] !== "`") {
    if (scan.source[scan.at] === "\\") blank(scan, Math.min(scan.source.length, scan.at + 2))
    else if (scan.source.startsWith("${", scan.at)) {
      blank(scan, scan.at + 2)
      code(scan, "}")
      blank(scan, scan.at + 1)
    } else blank(scan, scan.at + 1)
  }
  blank(scan, Math.min(scan.source.length, scan.at + 1))
}

function rawStringEnd(source: string, begin: number): number {
  const delimiter = /^R"([^(\s]*)\(/.exec(source.slice(begin, begin + 20))?.[1] ?? ""
  const end = source.indexOf(`)${delimiter}"`, begin)
  return end === -1 ? source.length : end + delimiter.length + 2
}

/** True where a quote is a digit separator, as in 1'000. */
function isDigitSeparator(scan: Scan): boolean {
  return (
    scan.language === "c++" &&
    /[0-9a-fA-F]/.test(scan.source[scan.at - 1] ?? "") &&
    /[0-9a-fA-F]/.test(scan.source[scan.at + 1] ?? "")
  )
}

/** Copies code until an unbalanced `until` or the end. */
function code(scan: Scan, until: string | undefined): void {
  const { source, language } = scan
  let depth = 0
  while (scan.at < source.length) {
    const character = source.charAt(scan.at)
    if (source.startsWith("//", scan.at)) comment(scan, endOfLine(source, scan.at))
    else if (source.startsWith("/*", scan.at)) comment(scan, afterMark(source, "*/", scan.at + 2))
    else if (language === "c++" && source.startsWith('R"', scan.at))
      blank(scan, rawStringEnd(source, scan.at))
    else if (character === '"' || (character === "'" && !isDigitSeparator(scan)))
      blank(scan, quotedEnd(source, scan.at))
    else if (language === "typescript" && character === "`") template(scan)
    else if (
      language === "typescript" &&
      character === "/" &&
      REGEX_BEFORE.test(scan.out.slice(-40).join(""))
    )
      blank(scan, regexEnd(source, scan.at))
    else if (character === until && depth === 0) return
    else {
      if (character === "{") depth += 1
      if (character === "}") depth -= 1
      keep(scan)
    }
  }
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf("\n", from)
  return end === -1 ? source.length : end
}

function afterMark(source: string, mark: string, from: number): number {
  const end = source.indexOf(mark, from)
  return end === -1 ? source.length : end + mark.length
}

/**
 * The source with comments, texts and regular expressions replaced by spaces; every line keeps its
 * number and length.
 */
export function blankSource(source: string, language: Language): string {
  return scanSource(source, language).out.join("")
}

/** Every comment of a source, in order. */
export function commentSpans(source: string, language: Language): readonly CommentSpan[] {
  return scanSource(source, language).comments
}

function scanSource(source: string, language: Language): Scan {
  const scan: Scan = { source, language, out: [], comments: [], at: 0 }
  code(scan, undefined)
  return scan
}
