import { chmod, mkdir, readdir, stat } from "node:fs/promises"
import { KvStoreError } from "../kv-store-error.ts"

const PRIVATE = 0o700
const STORE_FOLDERS = ["checkpoints", "segments"]

/**
 * Makes the folder, for its owner alone. One that others may enter is mended with a warning when
 * it is empty or a store. Any other is refused, because its mode serves other files.
 *
 * @throws KvStoreError FOLDER
 */
export async function openFolder(folder: string, log: (line: string) => void): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: PRIVATE })
    const status = await stat(folder)
    if (!status.isDirectory()) throw new KvStoreError("FOLDER", `${folder} is no folder`)
    const owner = process.getuid?.()
    if (owner !== undefined && status.uid !== owner)
      throw new KvStoreError(
        "FOLDER",
        `${folder} belongs to user ${status.uid}, not to ${owner}: name a folder of your own`,
      )
    if ((status.mode & 0o077) === 0) return
    const mode = (status.mode & 0o777).toString(8)
    const names = await readdir(folder)
    if (names.length > 0 && !STORE_FOLDERS.every((name) => names.includes(name)))
      throw new KvStoreError(
        "FOLDER",
        `others may enter ${folder} (mode ${mode}), and it holds files that are no KV store: ` +
          "name an empty folder, or one of mode 700",
      )
    await chmod(folder, PRIVATE)
    log(`kv store: others could enter ${folder} (mode ${mode}); it has mode 700 now`)
  } catch (error) {
    if (error instanceof KvStoreError) throw error
    throw new KvStoreError(
      "FOLDER",
      `${folder} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
}
