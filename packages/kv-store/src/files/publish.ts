import type { FileSystem, OutputFile } from "./file-system.ts"

export const TEMPORARY = "tmp"

/**
 * Writes a file under a temporary name, makes its content last, and gives it its name. The caller
 * syncs the folder. When anything fails, the temporary file goes.
 */
export async function publish(
  files: FileSystem,
  name: string,
  write: (file: OutputFile) => Promise<void>,
): Promise<void> {
  const temporary = `${TEMPORARY}/${crypto.randomUUID()}`
  const file = await files.create(temporary)
  try {
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(temporary, name)
  } catch (error) {
    await files.remove(temporary).catch(() => undefined)
    throw error
  }
}
