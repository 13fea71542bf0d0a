import { DiskFiles } from "../files/disk.ts"
import type { FileSystem } from "../files/file-system.ts"
import { KvStoreError, systemCode } from "../kv-store-error.ts"
import { KvcFile } from "./file.ts"
import { KVC_HEADER_BYTES, KVC_REASONS, readKvcHeader } from "./header.ts"

export interface KvcListing {
  /** 40 hexadecimal digits: the SHA-1 of its text. */
  readonly key: string
  readonly bytes: number
  readonly tokens: number
  readonly hits: number
  readonly context: number
  readonly quantisationBits: number
  readonly reason: string
  /** Unix seconds. */
  readonly created: number
  /** Unix seconds. */
  readonly lastUsed: number
  /** Why it cannot be read; its numbers are then zero. */
  readonly problem: string | undefined
}

const KEY = /^([0-9a-f]{40})\.kv$/

/** The key under which a text is stored. */
export const kvcKey = (text: Uint8Array): string =>
  new Bun.CryptoHasher("sha1").update(text).digest("hex")

async function listingOf(files: FileSystem, key: string): Promise<KvcListing> {
  const file = await files.open(`${key}.kv`)
  try {
    const bytes = new Uint8Array(Math.min(file.bytes, KVC_HEADER_BYTES))
    await file.read(bytes, 0)
    const header = readKvcHeader(bytes)
    return {
      key,
      bytes: file.bytes,
      tokens: header.tokens,
      hits: header.hits,
      context: header.context,
      quantisationBits: header.quantisationBits,
      reason: KVC_REASONS[header.reason] ?? `number ${header.reason}`,
      created: Number(header.created),
      lastUsed: Number(header.lastUsed),
      problem: undefined,
    }
  } finally {
    await file.close()
  }
}

const problemListing = (key: string, problem: string): KvcListing => ({
  key,
  bytes: 0,
  tokens: 0,
  hits: 0,
  context: 0,
  quantisationBits: 0,
  reason: "unknown",
  created: 0,
  lastUsed: 0,
  problem,
})

/** The version-1 files of a folder, by key; other files are passed over. */
export async function listKvcFolder(
  folder: string,
  files: FileSystem = new DiskFiles(folder),
): Promise<KvcListing[]> {
  const keys = (await files.list(""))
    .map((name) => KEY.exec(name)?.[1])
    .filter((key) => key !== undefined)
  const listings: KvcListing[] = []
  for (const key of keys.toSorted()) {
    try {
      listings.push(await listingOf(files, key))
    } catch (error) {
      const isExpected = error instanceof KvStoreError || systemCode(error) !== undefined
      if (!isExpected) throw error
      listings.push(problemListing(key, error instanceof Error ? error.message : ""))
    }
  }
  return listings
}

export interface KvcImport {
  /** The rendered text, control strings included. Its tokens are processed anew. */
  readonly text: string
  /** Whether it is what a client sends back, and not what the state held. */
  readonly isVisibleText: boolean
  readonly tools: readonly { readonly id: string; readonly block: string }[]
}

/**
 * Takes over the text and tool calls of a version-1 file. Its rows were made by other numerics.
 *
 * @throws KvStoreError DAMAGED, also when the text is not the one that its name tells;
 *   INCOMPATIBLE; an error of the disk
 */
export async function importKvcFile(
  folder: string,
  key: string,
  files: FileSystem = new DiskFiles(folder),
): Promise<KvcImport> {
  const input = await files.open(`${key}.kv`)
  try {
    const { text, header, tools } = await KvcFile.open(input)
    if (kvcKey(text) !== key)
      throw new KvStoreError("DAMAGED", `${key}.kv holds a text whose SHA-1 is ${kvcKey(text)}`)
    const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
    return {
      text: utf8(text),
      isVisibleText: header.flags.isResponsesKey || header.flags.isThinkingKey,
      tools: tools.map(({ id, block }) => ({ id: utf8(id), block: utf8(block) })),
    }
  } finally {
    await input.close()
  }
}
