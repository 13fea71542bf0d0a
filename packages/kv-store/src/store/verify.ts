import { readCheckpointHead } from "../format/checkpoint-head.ts"
import { readFileHead, readSection } from "../format/file-head.ts"
import { segmentKey } from "../format/keys.ts"
import { hexOf, PAGE_ID_BYTES, type FileKind, type SectionName } from "../format/layout.ts"
import type { Segment } from "../index/catalog.ts"
import { damaged, KvStoreError, systemCode } from "../kv-store-error.ts"
import { quarantineCheckpoint, quarantineSegment } from "./quarantine.ts"
import { checkpointName, segmentName, type StoreContext } from "./store-context.ts"

export interface Verification {
  readonly files: number
  readonly bytes: number
  readonly damaged: readonly { readonly file: string; readonly problem: string }[]
}

/** Recomputes all checksums of a file. @returns its bytes */
async function verifyFile(
  store: StoreContext,
  name: string,
  kind: FileKind,
  checkSection: (name: SectionName, bytes: Uint8Array) => void,
): Promise<number> {
  const file = await store.files.open(name)
  try {
    const head = await readFileHead(file, kind)
    for (const section of head.sections.keys())
      checkSection(section, await readSection(file, head, section))
    if (kind === "checkpoint") await readCheckpointHead(file, head)
    return head.fileBytes
  } finally {
    await file.close()
  }
}

/** Orphans have no known predecessor, so nothing tells which ids they should hold. */
function checkIds(store: StoreContext, segment: Segment, page: Uint8Array): void {
  if (segment.users.size === 0) return
  const isOurs = [...segment.users].some(
    ({ head }) => head.compatibility === store.catalog.compatibility,
  )
  if (segment.previous === undefined && !isOurs) return
  const previous =
    segment.previous === undefined ? store.root : Uint8Array.fromHex(segment.previous)
  if (hexOf(segmentKey(previous, page.subarray(0, PAGE_ID_BYTES))) !== segment.key)
    throw damaged("holds other token ids than its key names")
}

/** The problem of a file; a number of bytes when it is sound. Damaged files are moved away. */
async function check(
  store: StoreContext,
  verify: () => Promise<number>,
  moveAway: (problem: string) => Promise<void>,
): Promise<number | string> {
  try {
    return await verify()
  } catch (error) {
    const code = systemCode(error)
    if (code === "ENOENT") return 0
    const isDamage = error instanceof KvStoreError && error.code === "DAMAGED"
    if (!isDamage && code === undefined) throw error
    const problem = isDamage ? error.message : `cannot be read: ${code}`
    if (isDamage || code === "EIO") await moveAway(problem)
    return problem
  }
}

/** Reads every file of the folder. Damaged ones move to quarantine. The caller holds the lock. */
export async function verifyStore(store: StoreContext): Promise<Verification> {
  let [files, bytes] = [0, 0]
  const found: { file: string; problem: string }[] = []
  const note = (file: string, result: number | string): void => {
    files++
    if (typeof result === "number") bytes += result
    else found.push({ file, problem: result })
  }
  const segments = [...store.catalog.segments.values()].filter((each) => each.bytes !== undefined)
  for (const segment of segments) {
    const name = segmentName(segment.key)
    const verify = (): Promise<number> =>
      verifyFile(store, name, "segment", (_, page) => checkIds(store, segment, page))
    note(
      name,
      await check(store, verify, (problem) => quarantineSegment(store, segment.key, problem)),
    )
  }
  for (const key of store.catalog.checkpoints.keys()) {
    const name = checkpointName(key)
    const verify = (): Promise<number> => verifyFile(store, name, "checkpoint", () => undefined)
    note(name, await check(store, verify, (problem) => quarantineCheckpoint(store, key, problem)))
  }
  return { files, bytes, damaged: found }
}
