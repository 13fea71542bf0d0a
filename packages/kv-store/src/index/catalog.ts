import type { CheckpointHead } from "../format/checkpoint-head.ts"
import { PrefixIndex, type PrefixPlace } from "./prefix-index.ts"
import { UseCount } from "./use-count.ts"

/** A page's rows; named by its key, whether its file is there or not. */
export interface Segment {
  readonly key: string
  /** The key before it in its chain; undefined for the first, or when nobody has named it yet. */
  previous: string | undefined
  /** Bytes of its file; undefined when there is none. */
  bytes: number | undefined
  readonly users: Set<Checkpoint>
}

export interface Checkpoint {
  readonly head: CheckpointHead
  readonly chain: readonly Segment[]
  readonly uses: UseCount
  /** Segments of its chain that have no file. Only with none it is listed. */
  missing: number
  /** Readers, and requests that asked for it to stay. It outlives a rewritten file. */
  readonly pins: { count: number }
}

/** Whether prompts show exactly the ids that the state holds. */
export const isExact = ({ head }: Checkpoint): boolean =>
  head.tokens === head.position && head.common === head.tokens

/**
 * A folder's files, in memory. Checkpoints whose chain has a gap stay in it and come back when
 * the segment is written again, but no lookup finds them.
 */
export class Catalog {
  readonly checkpoints = new Map<string, Checkpoint>()
  readonly segments = new Map<string, Segment>()
  private readonly prefixes = new PrefixIndex<Checkpoint>()
  private fileBytes = 0

  /** @param compatibility of the checkpoints that lookups may find */
  constructor(readonly compatibility: bigint) {}

  /** Bytes of all files that it knows. */
  get bytes(): number {
    return this.fileBytes
  }

  private placeOf({ head }: Checkpoint): PrefixPlace {
    return { hashes: head.hashes, tail: head.tail }
  }

  private segment(key: string): Segment {
    let segment = this.segments.get(key)
    if (segment === undefined) {
      segment = { key, previous: undefined, bytes: undefined, users: new Set() }
      this.segments.set(key, segment)
    }
    return segment
  }

  private list(checkpoint: Checkpoint): void {
    if (checkpoint.head.compatibility === this.compatibility)
      this.prefixes.insert(this.placeOf(checkpoint), checkpoint)
  }

  private unlist(checkpoint: Checkpoint): void {
    if (checkpoint.head.compatibility === this.compatibility)
      this.prefixes.remove(this.placeOf(checkpoint), checkpoint)
  }

  addSegment(key: string, bytes: number): void {
    const segment = this.segment(key)
    const isNew = segment.bytes === undefined
    this.fileBytes += bytes - (segment.bytes ?? 0)
    segment.bytes = bytes
    if (!isNew) return
    for (const user of segment.users) if (--user.missing === 0) this.list(user)
  }

  /** Its file is gone. Checkpoints that need it are no longer listed. */
  loseSegment(key: string): void {
    const segment = this.segments.get(key)
    if (segment?.bytes === undefined) return
    this.fileBytes -= segment.bytes
    segment.bytes = undefined
    for (const user of segment.users) if (user.missing++ === 0) this.unlist(user)
    if (segment.users.size === 0) this.segments.delete(key)
  }

  /** Takes the place of one with the same key, and keeps its uses. */
  addCheckpoint(head: CheckpointHead): Checkpoint {
    const old = this.checkpoints.get(head.key)
    if (old !== undefined) this.removeCheckpoint(head.key)
    const chain = head.chain.map((key) => this.segment(key))
    const missing = chain.filter(({ bytes }) => bytes === undefined).length
    const checkpoint: Checkpoint = {
      head,
      chain,
      uses: old?.uses ?? new UseCount(),
      missing,
      pins: old?.pins ?? { count: 0 },
    }
    for (const [index, segment] of chain.entries()) {
      segment.previous = chain[index - 1]?.key
      segment.users.add(checkpoint)
    }
    this.checkpoints.set(head.key, checkpoint)
    this.fileBytes += head.fileBytes
    if (missing === 0) this.list(checkpoint)
    return checkpoint
  }

  removeCheckpoint(key: string): void {
    const checkpoint = this.checkpoints.get(key)
    if (checkpoint === undefined) return
    this.checkpoints.delete(key)
    this.fileBytes -= checkpoint.head.fileBytes
    if (checkpoint.missing === 0) this.unlist(checkpoint)
    for (const segment of checkpoint.chain) {
      segment.users.delete(checkpoint)
      if (segment.users.size === 0 && segment.bytes === undefined) this.segments.delete(segment.key)
    }
  }

  /** Listed checkpoints whose shown ids these ids begin with, the longest first. */
  prefixesOf(ids: Int32Array): Generator<Checkpoint, void, undefined> {
    return this.prefixes.prefixesOf(ids)
  }

  /** Listed checkpoints that may agree with these ids for longest. */
  nearest(ids: Int32Array, most: number): { value: Checkpoint; common: number }[] {
    return this.prefixes.nearest(ids, most)
  }

  /** Whether a lookup may find it. */
  isListed({ head, missing }: Checkpoint): boolean {
    return missing === 0 && head.compatibility === this.compatibility
  }
}
