import { existsSync, readFileSync, statSync } from "node:fs"
import { basename } from "node:path"
import { messageOf, usageError } from "../errors.ts"

const LIMIT_BYTES = 16 * 1024 * 1024 // more text than any context holds

/**
 * A text file as a block for a question, under a header with its name. Throws a usage error when it
 * is not one.
 */
export function attachFile(path: string): string {
  if (!existsSync(path)) throw usageError(`there is no file ${path}`)
  const stat = statSync(path)
  if (!stat.isFile()) throw usageError(`${path} is not a file`)
  if (stat.size > LIMIT_BYTES)
    throw usageError(`${path} has ${stat.size} bytes; at most ${LIMIT_BYTES} can be attached`)
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path))
  } catch (error) {
    throw usageError(`${path} is not a text file (${messageOf(error)})`)
  }
  return (
    `--- ${basename(path)} ---\n${text.endsWith("\n") ? text : `${text}\n`}--- end of ` +
    `${basename(path)} ---\n`
  )
}

/** Attaches the files that a line names as @path; words that are no file stay words. */
export function attachMentions(line: string): string {
  const paths = [...line.matchAll(/(?<=^|\s)@(\S+)/g)]
    .map((match) => match[1] ?? "")
    .filter((path) => existsSync(path))
  return paths.length === 0 ? line : `${[...new Set(paths)].map(attachFile).join("\n")}\n${line}`
}
