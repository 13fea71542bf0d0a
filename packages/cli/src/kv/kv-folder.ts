import { readdir } from "node:fs/promises"
import { type CheckpointListing, KvStore } from "@ds4/kv-store"
import { type Environment, kvFolder } from "@ds4/options"
import { CliError, EXIT, usageError } from "../errors.ts"

/** The store needs a model for look-ups, of which there are none here: this is no model's. */
const NO_MODEL = { model: 0n, numerics: 0, tokenizer: "" }

const STORE_FOLDERS = ["checkpoints", "segments"]

/** The folder that a flag names, else the server's default one. */
export function folderOf(asked: string | undefined, environment: Environment): string {
  if (asked === "none")
    throw usageError("--kv-disk-dir is none: there is no folder to look into; name one")
  return asked ?? kvFolder(environment)
}

/** Names in the folder; undefined: it is not there. */
async function namesIn(folder: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
}

/**
 * Opens a folder of states without a model. Undefined: nothing was ever saved there. Opening would
 * make a store of any folder, so that one with other files is refused.
 *
 * @param budgetBytes kept by gc
 */
export async function openKvFolder(
  folder: string,
  budgetBytes: number,
  log: (line: string) => void,
): Promise<KvStore | undefined> {
  const names = await namesIn(folder)
  if (names === undefined || names.length === 0) return undefined
  if (!STORE_FOLDERS.every((name) => names.includes(name)))
    throw new CliError(
      EXIT.failed,
      `${folder} holds no saved states but other files: name the server's --kv-disk-dir`,
    )
  return KvStore.open({ folder, compatibility: NO_MODEL, budgetBytes, minimumFreeBytes: 0, log })
}

/** Shorter beginnings of a key are likely to be typing mistakes. */
const LEAST_CHARACTERS = 6

/**
 * The checkpoint that a key, the beginning of one, or a label names.
 *
 * @throws CliError for none and for several
 */
export function checkpointNamed(
  name: string,
  list: readonly CheckpointListing[],
): CheckpointListing {
  const labelled = list.filter(({ label }) => label === name)
  const found =
    labelled.length === 0 && name.length >= LEAST_CHARACTERS
      ? list.filter(({ key }) => key.startsWith(name.toLowerCase()))
      : labelled
  const [first, ...others] = found
  if (first === undefined)
    throw new CliError(
      EXIT.failed,
      `there is no checkpoint "${name}": give a label, or ${LEAST_CHARACTERS} characters of a ` +
        "key or more (ds4 kv ls)",
    )
  if (others.length > 0)
    throw new CliError(
      EXIT.failed,
      `"${name}" names ${found.length} checkpoints: ${found.map(({ key }) => key).join(", ")}`,
    )
  return first
}
