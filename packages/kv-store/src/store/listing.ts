import { isExact, type Checkpoint } from "../index/catalog.ts"
import { valueOf } from "./eviction.ts"
import type { StoreContext } from "./store-context.ts"

/** A checkpoint whose shown ids a prompt begins with. */
export interface Match {
  readonly key: string
  /** Tokens of the prompt that it covers. */
  readonly tokens: number
  /** Tokens that its state holds. */
  readonly position: number
  /** Whether it holds exactly the ids that it shows. */
  readonly isExact: boolean
}

export interface CheckpointListing extends Match {
  /** Its removal frees so many: its own file, and segments that nothing else needs. */
  readonly ownBytes: number
  /** With all segments of its chain. */
  readonly bytes: number
  /** Unix milliseconds. */
  readonly created: number
  /** Unix milliseconds; undefined when it was never read. */
  readonly lastUsed: number | undefined
  readonly uses: number
  readonly reason: string
  readonly label: string | undefined
  readonly model: string | undefined
  readonly preview: string | undefined
  /** Seconds of prefill for each byte: the lowest goes first. */
  readonly value: number
  /** Whether it is of this store's model, tokenizer and numerics, with all its segments. */
  readonly isUsable: boolean
}

export const matchOf = (checkpoint: Checkpoint): Match => ({
  key: checkpoint.head.key,
  tokens: checkpoint.head.tokens,
  position: checkpoint.head.position,
  isExact: isExact(checkpoint),
})

export function listingOf(store: StoreContext, checkpoint: Checkpoint): CheckpointListing {
  const { head, chain, uses } = checkpoint
  const sum = (onlyOwn: boolean): number =>
    chain
      .filter(({ users }) => !onlyOwn || users.size === 1)
      .reduce((bytes, segment) => bytes + (segment.bytes ?? 0), head.fileBytes)
  return {
    ...matchOf(checkpoint),
    ownBytes: sum(true),
    bytes: sum(false),
    created: head.created,
    lastUsed: uses.total > 0 ? uses.last : undefined,
    uses: uses.total,
    reason: head.info.reason,
    label: head.info.label,
    model: head.info.model,
    preview: head.info.preview,
    value: valueOf(store, checkpoint),
    isUsable: store.catalog.isListed(checkpoint),
  }
}
