import { breath } from "../breath.ts"
import type { Checkpoint, Segment } from "../index/catalog.ts"
import type { StoreContext } from "./store-context.ts"

/** Tokens of the next shorter checkpoint of its conversation that is still there. */
function tokensWithout(store: StoreContext, { head }: Checkpoint): number {
  let most = 0
  for (const { key, tokens } of head.ancestors) {
    const ancestor = tokens > most ? store.catalog.checkpoints.get(key) : undefined
    if (ancestor?.missing === 0) most = tokens
  }
  return most
}

/** Segments that nothing else needs: they form the end of a chain. */
function ownSegments({ chain }: Checkpoint): Segment[] {
  const shared = chain.findLastIndex(({ users }) => users.size > 1)
  return chain.slice(shared + 1).filter(({ bytes }) => bytes !== undefined)
}

/** Seconds of prefill that it saves, weighted by its uses, for each byte that its removal frees. */
export function valueOf(store: StoreContext, checkpoint: Checkpoint): number {
  if (checkpoint.missing > 0) return 0
  const { head, uses } = checkpoint
  const saved = Math.max(0, head.tokens - tokensWithout(store, checkpoint))
  const seconds = saved / Math.max(1e-3, store.prefillTokensPerSecond())
  const freed = ownSegments(checkpoint).reduce(
    (sum, { bytes }) => sum + (bytes ?? 0),
    head.fileBytes,
  )
  return (seconds * (1 + uses.decayed(store.now()))) / freed
}

const isSpared = (store: StoreContext, { head, pins }: Checkpoint): boolean =>
  head.info.label !== undefined || pins.count > 0 || store.spared.has(head.key)

/** The order in which checkpoints go; a value changes when a neighbour goes. */
export class Candidates {
  private readonly values = new Map<Checkpoint, number>()
  private readonly descendants = new Map<string, Checkpoint[]>()
  constructor(private readonly store: StoreContext) {}

  async fill(): Promise<void> {
    let count = 0
    for (const checkpoint of this.store.catalog.checkpoints.values()) {
      if (++count % 500 === 0) await breath()
      for (const { key } of checkpoint.head.ancestors) {
        const list = this.descendants.get(key)
        if (list === undefined) this.descendants.set(key, [checkpoint])
        else list.push(checkpoint)
      }
      if (!isSpared(this.store, checkpoint))
        this.values.set(checkpoint, valueOf(this.store, checkpoint))
    }
  }

  /** The one of least value; of equals the one that was used or made least recently. */
  takeLeast(): Checkpoint | undefined {
    let least: Checkpoint | undefined
    let leastValue = Infinity
    const age = ({ uses, head }: Checkpoint): number => Math.max(uses.last, head.created)
    for (const [checkpoint, value] of this.values) {
      if (value > leastValue) continue
      if (value === leastValue && least !== undefined && age(checkpoint) >= age(least)) continue
      least = checkpoint
      leastValue = value
    }
    if (least !== undefined) this.values.delete(least)
    return least
  }

  /** Values anew of those that the removal of a checkpoint concerns. */
  update({ head, chain }: Checkpoint): void {
    const concerned = [
      ...(this.descendants.get(head.key) ?? []),
      ...chain.filter(({ users }) => users.size === 1).flatMap(({ users }) => [...users]),
    ]
    for (const each of new Set(concerned))
      if (this.values.has(each)) this.values.set(each, valueOf(this.store, each))
  }
}
