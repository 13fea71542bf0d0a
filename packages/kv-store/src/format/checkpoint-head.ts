import type { InputFile } from "../files/file-system.ts"
import { damaged } from "../kv-store-error.ts"
import { readSection, sectionOf, type FileHead } from "./file-head.ts"
import { bytesOfIds, hexOf, idsOfBytes, KEY_BYTES, PAGE_TOKENS, viewOf } from "./layout.ts"
import { sectionOfBytes, type SectionSource } from "./write-store-file.ts"

/** A checkpoint that was known when this one was written, and whose shown ids begin its own. */
export interface Ancestor {
  readonly tokens: number
  readonly key: string
}

export interface CheckpointInfo {
  /** Why it was written, such as "turn" or "shutdown". */
  readonly reason: string
  /** A name that a person gave; such a checkpoint goes only by command. */
  readonly label?: string
  /** The model's name, for lists. */
  readonly model?: string
  /** A few words of the conversation, for lists. */
  readonly preview?: string
}

/** All of a checkpoint that an index needs: its file's small sections. */
export interface CheckpointHead {
  readonly key: string
  readonly compatibility: bigint
  readonly fileBytes: number
  /** Tokens that the state holds. */
  readonly position: number
  /** Tokens by which prompts show them. */
  readonly tokens: number
  /** Tokens at the beginning that are shown as they are held. */
  readonly common: number
  /** Unix milliseconds. */
  readonly created: number
  /** Keys of the segments that it needs. */
  readonly chain: readonly string[]
  readonly hashes: BigUint64Array
  readonly tail: Int32Array
  readonly ancestors: readonly Ancestor[]
  readonly info: CheckpointInfo
}

const SHAPE_BYTES = 24
const ANCESTOR_BYTES = 4 + KEY_BYTES
export const MOST_ANCESTORS = 64
const MOST_INFO_BYTES = 16384

export type CheckpointFacts = Omit<CheckpointHead, "key" | "compatibility" | "fileBytes">

/** The small sections, in the order in which they stand behind the table. */
export function headSections(facts: CheckpointFacts): SectionSource[] {
  const shape = new Uint8Array(SHAPE_BYTES)
  const view = viewOf(shape)
  view.setUint32(0, facts.position, true)
  view.setUint32(4, facts.tokens, true)
  view.setUint32(8, facts.common, true)
  view.setFloat64(16, facts.created, true)
  const ancestors = new Uint8Array(facts.ancestors.length * ANCESTOR_BYTES)
  for (const [index, { tokens, key }] of facts.ancestors.entries()) {
    viewOf(ancestors).setUint32(index * ANCESTOR_BYTES, tokens, true)
    ancestors.set(Uint8Array.fromHex(key), index * ANCESTOR_BYTES + 4)
  }
  const { hashes } = facts
  return [
    sectionOfBytes("shape", shape),
    sectionOfBytes("chain", Uint8Array.fromHex(facts.chain.join(""))),
    sectionOfBytes(
      "shownHashes",
      new Uint8Array(hashes.buffer, hashes.byteOffset, hashes.byteLength),
    ),
    sectionOfBytes("shownTail", bytesOfIds(facts.tail)),
    sectionOfBytes("ancestors", ancestors),
    sectionOfBytes("info", Buffer.from(JSON.stringify(facts.info))),
  ]
}

/** Unknown fields are left out; wrong ones refuse the file. */
function infoOf(bytes: Uint8Array): CheckpointInfo {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    throw damaged("has info that is not JSON")
  }
  if (typeof value !== "object" || value === null) throw damaged("has info that is no object")
  const text = (name: string): string | undefined => {
    const field: unknown = Object.entries(value).find(([key]) => key === name)?.[1]
    if (field === undefined || typeof field === "string") return field
    throw damaged(`has info whose ${name} is no text`)
  }
  const [label, model, preview] = [text("label"), text("model"), text("preview")]
  return {
    reason: text("reason") ?? "unknown",
    ...(label !== undefined && { label }),
    ...(model !== undefined && { model }),
    ...(preview !== undefined && { preview }),
  }
}

function ancestorsOf(bytes: Uint8Array): Ancestor[] {
  return Array.from({ length: bytes.length / ANCESTOR_BYTES }, (_, index) => {
    const at = index * ANCESTOR_BYTES
    const key = hexOf(bytes.subarray(at + 4, at + ANCESTOR_BYTES))
    return { tokens: viewOf(bytes).getUint32(at, true), key }
  })
}

function keysOf(bytes: Uint8Array): string[] {
  const hex = hexOf(bytes)
  return Array.from({ length: bytes.length / KEY_BYTES }, (_, index) =>
    hex.slice(2 * KEY_BYTES * index, 2 * KEY_BYTES * (index + 1)),
  )
}

/** Whether the lengths of the small sections follow from the counts. */
function checkLengths(head: FileHead, { position, tokens, common }: Shape): void {
  const expect = (
    name: "chain" | "shownHashes" | "shownTail" | "shownIds",
    bytes: number,
  ): void => {
    const { length } = sectionOf(head, name)
    if (length !== bytes)
      throw damaged(`has ${length} bytes in section ${name}, ${bytes} follow from its counts`)
  }
  if (common > tokens || common > position)
    throw damaged(`says ${common} tokens in common of ${tokens} shown and ${position} held`)
  expect("chain", KEY_BYTES * Math.floor(position / PAGE_TOKENS))
  expect("shownHashes", 8 * Math.floor(tokens / PAGE_TOKENS))
  expect("shownTail", 4 * (tokens % PAGE_TOKENS))
  expect("shownIds", 4 * (tokens - common))
  if (sectionOf(head, "ancestors").length % ANCESTOR_BYTES !== 0)
    throw damaged("has a section ancestors of odd length")
  if (sectionOf(head, "info").length > MOST_INFO_BYTES) throw damaged("has too much info")
}

interface Shape {
  readonly position: number
  readonly tokens: number
  readonly common: number
}

/**
 * Reads the small sections; counts are checked against the lengths of sections before.
 *
 * @throws KvStoreError DAMAGED
 */
export async function readCheckpointHead(file: InputFile, head: FileHead): Promise<CheckpointHead> {
  if (sectionOf(head, "shape").length !== SHAPE_BYTES) throw damaged("has a shape of odd length")
  const shape = viewOf(await readSection(file, head, "shape"))
  const counts = {
    position: shape.getUint32(0, true),
    tokens: shape.getUint32(4, true),
    common: shape.getUint32(8, true),
  }
  checkLengths(head, counts)
  const hashes = await readSection(file, head, "shownHashes")
  return {
    ...counts,
    key: head.key,
    compatibility: head.compatibility,
    fileBytes: head.fileBytes,
    created: shape.getFloat64(16, true),
    chain: keysOf(await readSection(file, head, "chain")),
    hashes: new BigUint64Array(hashes.slice().buffer),
    tail: idsOfBytes(await readSection(file, head, "shownTail")),
    ancestors: ancestorsOf(await readSection(file, head, "ancestors")),
    info: infoOf(await readSection(file, head, "info")),
  }
}
