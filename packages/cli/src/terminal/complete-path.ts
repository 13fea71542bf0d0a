import { readdirSync, statSync } from "node:fs"
import { dirname } from "node:path"

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false // a link that leads nowhere
  }
}

/**
 * Paths that begin with what was typed, folders with a slash at the end. Hidden files only where a
 * dot was typed; names with blanks or control characters cannot stand in a line and are left out.
 */
export function pathsFrom(typed: string): string[] {
  const folder = typed.slice(0, typed.lastIndexOf("/") + 1)
  const begun = typed.slice(folder.length)
  let names: string[]
  try {
    names = readdirSync(folder === "" ? "." : folder === "/" ? folder : dirname(`${folder}x`))
  } catch {
    return [] // no such folder, or one that cannot be read
  }
  return names
    .filter((name) => name.startsWith(begun) && !/[\s\p{Cc}]/u.test(name))
    .filter((name) => begun.startsWith(".") || !name.startsWith("."))
    .map((name) => `${folder}${name}`)
    .map((path) => (isFolder(path) ? `${path}/` : path))
    .toSorted()
}
