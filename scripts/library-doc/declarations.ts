// Reads exported declarations out of TypeScript sources, as text, with their docstrings.
import { readFileSync } from "node:fs"
import { type Comment, parseSync, type Program } from "oxc-parser"

export interface Declaration {
  readonly name: string
  /** The docstring as markdown; empty without one. */
  readonly doc: string
  /** The declaration without bodies, private members and initial values of fields. */
  readonly code: string
}

type Statement = Program["body"][number]
type Declared = Extract<Statement, { type: "ExportNamedDeclaration" }>["declaration"]
type ClassDeclared = Extract<NonNullable<Declared>, { superClass: unknown }>
type Member = ClassDeclared["body"]["body"][number]

function parse(path: string): { text: string; program: Program; comments: Comment[] } {
  const text = readFileSync(path, "utf8")
  const { program, comments, errors } = parseSync(path, text, { range: true })
  const [first] = errors
  if (first !== undefined) throw new Error(`${path}: ${first.message}`)
  return { text, program, comments }
}

/** Names that an index re-exports, and the file that each comes from. */
export function exportsOf(index: string): { name: string; from: string }[] {
  return parse(index).program.body.flatMap((statement) => {
    if (statement.type !== "ExportNamedDeclaration" || statement.source === null)
      throw new Error(`${index}: an index re-exports by name and does nothing else`)
    const from = statement.source.value
    return statement.specifiers.map(({ exported }) => {
      if (exported.type !== "Identifier") throw new Error(`${index}: an export without a name`)
      return { name: exported.name, from }
    })
  })
}

/** The docstring that ends just before an offset. */
function docBefore(text: string, comments: readonly Comment[], offset: number): string {
  const found = comments.findLast(({ end }) => end <= offset)
  if (found?.type !== "Block" || !found.value.startsWith("*")) return ""
  if (text.slice(found.end, offset).trim() !== "") return ""
  const lines = found.value.slice(1).split("\n")
  return lines
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim()
}

/** A docstring with its tags as paragraphs. */
function markdown(doc: string): string {
  return doc
    .replaceAll(/^@(\w+)/gm, "\n**$1**")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim()
}

function isPrivate(member: Member): boolean {
  if ("key" in member && member.key.type === "PrivateIdentifier") return true
  return "accessibility" in member && member.accessibility === "private"
}

/** A member's docstring as the comment that it was. */
function memberDoc(doc: string): string[] {
  if (doc === "") return []
  const lines = doc.split("\n").filter((line) => line !== "")
  if (lines.length === 1) return [`  /** ${lines.join("")} */`]
  return ["  /**", ...lines.map((line) => `   * ${line}`), "   */"]
}

/** One member of a class without its body; nothing for a private one. */
function memberText(text: string, comments: readonly Comment[], member: Member): string[] {
  if (isPrivate(member)) return []
  const comment = memberDoc(docBefore(text, comments, member.start))
  if (member.type === "MethodDefinition" || member.type === "TSAbstractMethodDefinition") {
    const end = member.value.body?.start ?? member.end
    const head = oneLine(text.slice(member.start, end))
    return [...comment, `  ${head.replaceAll(/\b(?:private|readonly) /g, "")}`]
  }
  if (member.type !== "PropertyDefinition") return []
  const end = member.value?.start ?? member.end
  return [...comment, `  ${oneLine(text.slice(member.start, end).replace(/=\s*$/, ""))}`]
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll(/\( /g, "(").replaceAll(/,? \)/g, ")").trim()
}

function classText(text: string, comments: readonly Comment[], declared: ClassDeclared): string {
  const head = text.slice(declared.start, declared.body.start).trim()
  const members = declared.body.body.flatMap((member) => memberText(text, comments, member))
  return [`${head} {`, ...members, "}"].join("\n")
}

/** The declaration's text; what runs is left out. */
function codeOf(
  text: string,
  comments: readonly Comment[],
  declared: NonNullable<Declared>,
): string {
  if (declared.type === "ClassDeclaration") return classText(text, comments, declared)
  if (declared.type === "FunctionDeclaration")
    return text.slice(declared.start, declared.body?.start ?? declared.end).trim()
  const source = text.slice(declared.start, declared.end)
  if (declared.type !== "VariableDeclaration") return source
  const init = declared.declarations[0]?.init
  if (init?.type !== "ArrowFunctionExpression") return source
  return text
    .slice(declared.start, init.body.start)
    .replace(/=>\s*$/, "")
    .trim()
}

/** Every exported declaration of a source. */
export function declarationsOf(path: string): Declaration[] {
  const { text, program, comments } = parse(path)
  return program.body.flatMap((statement) => {
    if (statement.type !== "ExportNamedDeclaration") return []
    const { declaration } = statement
    if (declaration === null) return []
    const id =
      declaration.type === "VariableDeclaration"
        ? declaration.declarations[0]?.id
        : "id" in declaration
          ? declaration.id
          : undefined
    if (id?.type !== "Identifier") return []
    return [
      {
        name: id.name,
        doc: markdown(docBefore(text, comments, statement.start)),
        code: codeOf(text, comments, declaration),
      },
    ]
  })
}
