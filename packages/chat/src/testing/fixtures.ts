import { join } from "node:path"

const FOLDER = join(import.meta.dir, "../../fixtures")

/**
 * Reads one recorded file of packages/chat/fixtures. The caller names the part of its shape that
 * it reads.
 */
export const fixture = async <T>(name: string): Promise<T> =>
  (await Bun.file(join(FOLDER, name)).json()) as T
