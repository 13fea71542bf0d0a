import type { FileSystem } from "../files/file-system.ts"
import { checksumOf, hexOf, KEY_BYTES, viewOf } from "../format/layout.ts"
import { publish } from "../files/publish.ts"

/** "sum" stands in a compacted log for all uses of a checkpoint until then. */
export type UseRecord =
  | { readonly kind: "add" | "use" | "remove"; readonly key: string; readonly time: number }
  | SumRecord
interface SumRecord {
  readonly kind: "sum"
  readonly key: string
  readonly time: number
  readonly sum: number
  readonly total: number
}

interface LogChange {
  /** Whether another log took the place of the one that was read before. */
  readonly isNew: boolean
  readonly records: readonly UseRecord[]
}

const NAME = "index.log"
const MAGIC = Buffer.from("DS4KVLOG", "latin1")
const HEADER_BYTES = 24
const RECORD_MAGIC = 0x52564b44 // "DKVR"
export const RECORD_BYTES = 72
const KINDS = ["add", "use", "remove", "sum"] as const
const MOST_BYTES = 2 ** 28

function encodeRecord(record: UseRecord, writer: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES)
  const view = viewOf(bytes)
  view.setUint32(0, RECORD_MAGIC, true)
  view.setUint32(4, KINDS.indexOf(record.kind), true)
  bytes.set(Uint8Array.fromHex(record.key), 8)
  view.setFloat64(40, record.time, true)
  view.setUint32(60, writer, true)
  if (record.kind === "sum") {
    view.setFloat64(48, record.sum, true)
    view.setUint32(56, record.total, true)
  }
  view.setBigUint64(64, checksumOf(bytes.subarray(0, 64)), true)
  return bytes
}

/** Undefined for bytes that are no record: a torn write, or damage. */
function decodeRecord(bytes: Uint8Array): { record: UseRecord; writer: number } | undefined {
  const view = viewOf(bytes)
  if (view.getUint32(0, true) !== RECORD_MAGIC) return undefined
  if (checksumOf(bytes.subarray(0, 64)) !== view.getBigUint64(64, true)) return undefined
  const kind = KINDS[view.getUint32(4, true)]
  if (kind === undefined) return undefined
  const writer = view.getUint32(60, true)
  const key = hexOf(bytes.subarray(8, 8 + KEY_BYTES))
  const time = view.getFloat64(40, true)
  if (kind !== "sum") return { record: { kind, key, time }, writer }
  const [sum, total] = [view.getFloat64(48, true), view.getUint32(56, true)]
  return { record: { kind, key, time, sum, total }, writer }
}

function headerOf(generation: bigint): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  bytes.set(MAGIC)
  viewOf(bytes).setBigUint64(8, generation, true)
  viewOf(bytes).setBigUint64(16, checksumOf(bytes.subarray(0, 16)), true)
  return bytes
}

/**
 * `index.log`: what happened to checkpoints, for use counts and so that processes of one folder
 * hear of each other. It is never needed to find or to trust a checkpoint.
 */
export class UseLog {
  private generation: bigint | undefined
  private offset = 0
  /** Tells this process's records from those of others. */
  private readonly writer = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0

  constructor(private readonly files: FileSystem) {}

  /** Bytes that were read of it. */
  get bytes(): number {
    return this.offset
  }

  /** Loses the record where there is no log: it is made anew when the folder is next ours alone. */
  async append(record: UseRecord): Promise<void> {
    if ((await this.files.stat(NAME)) === undefined) return
    await this.files.append(NAME, encodeRecord(record, this.writer))
  }

  /**
   * Records since the last call. Of a new log all of them; else those of other processes, because
   * this one knows its own. A missing or damaged log has no records.
   */
  async read(): Promise<LogChange> {
    const bytes = await this.readFile()
    if (bytes === undefined) return { isNew: false, records: [] }
    const isNew = bytes.generation !== this.generation
    if (isNew) this.offset = HEADER_BYTES
    this.generation = bytes.generation
    const records: UseRecord[] = []
    let at = this.offset - bytes.begin
    while (at + RECORD_BYTES <= bytes.content.length) {
      const found = decodeRecord(bytes.content.subarray(at, at + RECORD_BYTES))
      at += found === undefined ? 1 : RECORD_BYTES
      if (found !== undefined && (isNew || found.writer !== this.writer)) records.push(found.record)
    }
    this.offset = bytes.begin + at
    return { isNew, records }
  }

  private async readFile(): Promise<
    { generation: bigint; begin: number; content: Uint8Array } | undefined
  > {
    if ((await this.files.stat(NAME)) === undefined) return undefined
    const file = await this.files.open(NAME)
    try {
      const header = new Uint8Array(HEADER_BYTES)
      if ((await file.read(header, 0)) !== HEADER_BYTES) return undefined
      const generation = viewOf(header).getBigUint64(8, true)
      if (Buffer.compare(header, headerOf(generation)) !== 0) return undefined
      const begin = generation === this.generation ? this.offset : HEADER_BYTES
      const content = new Uint8Array(Math.min(Math.max(0, file.bytes - begin), MOST_BYTES))
      const got = await file.read(content, begin)
      return { generation, begin, content: content.subarray(0, got) }
    } finally {
      await file.close()
    }
  }

  /** Whether there is a log that can be read. */
  async isSound(): Promise<boolean> {
    return (await this.readFile()) !== undefined
  }

  /** Takes the place of the log. The caller has the folder to itself. */
  async rewrite(sums: readonly SumRecord[]): Promise<void> {
    const generation = crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n
    const bytes = new Uint8Array(HEADER_BYTES + sums.length * RECORD_BYTES)
    bytes.set(headerOf(generation))
    for (const [index, sum] of sums.entries())
      bytes.set(encodeRecord(sum, this.writer), HEADER_BYTES + index * RECORD_BYTES)
    await publish(this.files, NAME, (file) => file.write(bytes, 0))
    this.generation = generation
    this.offset = bytes.length
  }
}
