// Advice about a folder that is no model: the model may lie in it or beside it.
import { join } from "node:path"
import type { FileAccess } from "./byte-source.ts"

const SHOWN = 5
/** The first file of a split GGUF, or a file on its own. */
const isFirst = (name: string): boolean =>
  !/-\d{5}-of-\d{5}\.gguf$/.test(name) || /-00001-of-/.test(name)

/** Where a model may be in a folder that lacks `missing`, and what the folder holds. */
export async function folderAdvice(
  access: FileAccess,
  folder: string,
  missing: string,
): Promise<string> {
  const names = await access.list(folder)
  const models = names.filter((name) => name.endsWith(".gguf") && isFirst(name))
  const [only] = models
  if (only !== undefined && models.length === 1)
    return `the folder has no ${missing}, but one GGUF model: name ${join(folder, only)}`
  if (only !== undefined)
    return (
      `the folder has no ${missing}, but ${models.length} GGUF models: name one of them, such as ` +
      join(folder, only)
    )
  const inside = await modelBelow(access, folder, names)
  if (inside !== undefined) return `the folder has no ${missing}; the model may be ${inside}`
  const held = names.slice(0, SHOWN).join(", ") + (names.length > SHOWN ? ", …" : "")
  return (
    `the folder has no ${missing}: expected a GGUF file, or a folder with config.json, ` +
    `safetensors shards and tokenizer.json. ` +
    (names.length === 0 ? "It is empty" : `It has ${held}`)
  )
}

/** A folder one level below with a config.json, or the snapshot of a download cache. */
async function modelBelow(
  access: FileAccess,
  folder: string,
  names: readonly string[],
): Promise<string | undefined> {
  const below = names.map((name) => join(folder, name))
  if (names.includes("snapshots")) {
    const snapshots = join(folder, "snapshots")
    below.push(...(await access.list(snapshots)).map((name) => join(snapshots, name)))
  }
  for (const path of below)
    if ((await access.kind(join(path, "config.json"))) === "file") return path
  for (const path of below) {
    const models = (await access.list(path)).filter((name) => name.endsWith(".gguf"))
    const first = models.find(isFirst)
    if (first !== undefined) return join(path, first)
  }
  return undefined
}
