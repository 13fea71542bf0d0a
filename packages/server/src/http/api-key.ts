import { OptionError } from "@ds4/options"
import type { ServeOptions } from "../settings.ts"

type KeyOptions = Pick<ServeOptions, "api-key" | "api-key-file">

/** The key that clients must send: of --api-key, else the first line of --api-key-file. */
export async function readApiKey(options: KeyOptions): Promise<string | undefined> {
  const file = options["api-key-file"]
  if (options["api-key"] !== undefined || file === undefined) return options["api-key"]
  const key = (await Bun.file(file).text()).split("\n")[0]?.trim()
  if (key === undefined || key === "") throw new OptionError(`the API key in ${file} is empty`)
  return key
}
