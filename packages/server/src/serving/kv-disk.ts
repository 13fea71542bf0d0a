// Where the server keeps states of sessions on disk, and how many bytes of them.
import { statfsSync } from "node:fs"
import { dirname } from "node:path"
import type { KvDiskOptions } from "@ds4/engine"
import { type CommandOptions, kvFolder } from "@ds4/options"

const MOST_BYTES = 64 * 2 ** 30
const SHARE_OF_FREE = 0.1

type DiskFlags = Pick<
  CommandOptions<"serve">,
  "kv-disk-dir" | "kv-disk-space-mb" | "kv-disk-min-seconds" | "model"
>

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The folder that options ask for; undefined: nothing is kept on disk. Without one it is the user's
 * cache folder, but for the embedded model, which reads any prompt in no time.
 *
 * @param environment has XDG_CACHE_HOME, if that is set
 */
export function kvDiskFolder(
  { model, "kv-disk-dir": asked }: Pick<DiskFlags, "kv-disk-dir" | "model">,
  environment: Environment = process.env,
): string | undefined {
  const isEmbedded = model === undefined || model === "demo"
  if (asked === "none" || (asked === undefined && isEmbedded)) return undefined
  return asked ?? kvFolder(environment)
}

/** The folder and limits that options ask for; undefined: states stay in memory. */
export function kvDiskOptions(
  options: DiskFlags,
  log: (line: string) => void,
  environment: Environment = process.env,
): KvDiskOptions | undefined {
  const folder = kvDiskFolder(options, environment)
  if (folder === undefined) return undefined
  const mib = options["kv-disk-space-mb"]
  return {
    folder,
    budgetBytes: mib === undefined ? defaultBudget(folder) : mib * 2 ** 20,
    leastSeconds: options["kv-disk-min-seconds"],
    isOptional: options["kv-disk-dir"] === undefined,
    log,
  }
}

function defaultBudget(folder: string): number {
  return Math.min(MOST_BYTES, Math.floor(freeBytes(folder) * SHARE_OF_FREE))
}

/** Free bytes of the disk of a folder that may not be there yet. */
function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    const parent = dirname(folder)
    return parent === folder ? 0 : freeBytes(parent)
  }
}
