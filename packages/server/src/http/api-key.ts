import { OptionError } from "@ds4/options"
import type { ServeOptions } from "../settings.ts"

type KeyOptions = Pick<ServeOptions, "api-key" | "api-key-file">

/**
 * The keys of which clients must send one: that of --api-key and those of --api-key-file, one a
 * line. Empty lines and lines that begin with # are no keys.
 * @throws OptionError where the file cannot be read or has no key
 */
export async function readApiKeys(options: KeyOptions): Promise<string[]> {
  const { "api-key": key, "api-key-file": file } = options
  const keys = file === undefined ? [] : await keysOf(file)
  return key === undefined ? keys : [key, ...keys]
}

async function keysOf(file: string): Promise<string[]> {
  let text: string
  try {
    text = await Bun.file(file).text()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new OptionError(`--api-key-file ${file} cannot be read: ${why}`)
  }
  const lines = text.split("\n").map((line) => line.replace(/^\ufeff/, "").trim())
  const keys = lines.filter((line) => line !== "" && !line.startsWith("#"))
  if (keys.length === 0)
    throw new OptionError(`--api-key-file ${file} has no key; write one on a line of its own`)
  return keys
}
