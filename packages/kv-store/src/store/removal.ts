import type { Checkpoint } from "../index/catalog.ts"
import { note } from "./note.ts"
import {
  checkpointName,
  CHECKPOINTS,
  SEGMENTS,
  segmentName,
  type StoreContext,
} from "./store-context.ts"

/** Files that left the catalog and are to leave the folder, which the caller has to itself. */
export class Removal {
  readonly checkpoints: string[] = []
  readonly segments: string[] = []
  bytes = 0
  constructor(private readonly store: StoreContext) {}

  /** A checkpoint, and the segments that nothing else needs. */
  add(checkpoint: Checkpoint): void {
    const { catalog } = this.store
    const before = catalog.bytes
    catalog.removeCheckpoint(checkpoint.head.key)
    this.checkpoints.push(checkpoint.head.key)
    this.bytes += before - catalog.bytes
    for (const { key } of checkpoint.chain) this.addUnused(key)
  }

  private addUnused(key: string): void {
    const { catalog, spared } = this.store
    const segment = catalog.segments.get(key)
    if (segment?.bytes === undefined || segment.users.size > 0 || spared.has(key)) return
    this.bytes += segment.bytes
    catalog.loseSegment(key)
    this.segments.push(key)
  }

  /** Segments that no checkpoint needs: an interrupted save left them. */
  addUnusedSegments(): void {
    for (const key of this.store.catalog.segments.keys()) this.addUnused(key)
  }

  /** Checkpoints go first, and for good, so that none is ever left without its segments. */
  async run(): Promise<void> {
    const { files } = this.store
    for (const key of this.checkpoints) await files.remove(checkpointName(key))
    if (this.checkpoints.length > 0) await files.syncFolder(CHECKPOINTS)
    for (const key of this.segments) await files.remove(segmentName(key))
    if (this.segments.length > 0) await files.syncFolder(SEGMENTS)
    for (const key of this.checkpoints) await note(this.store, "remove", key)
  }
}
