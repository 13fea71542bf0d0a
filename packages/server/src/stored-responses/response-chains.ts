// Stored responses in memory: their order of use, the chains that they form, and their bytes.
import { sizeOf, type StoredResponse } from "./stored-response.ts"

interface Entry {
  stored: StoredResponse
  /** Responses that continue it. */
  followers: number
}

/** The files of responses that a change concerns. */
interface ChainChange {
  /** To be written anew. */
  readonly rewritten: readonly StoredResponse[]
  /** Ids of those that are gone. */
  readonly removed: readonly string[]
}

/**
 * A response can be asked for while it has its response object. One that others continue loses the
 * object when it is removed; its items stay as long as a follower needs them.
 */
export class ResponseChains {
  private readonly entries = new Map<string, Entry>()
  /** Ids of those that can be asked for, least recently used first. */
  private readonly visible = new Set<string>()
  /** Item id to the response that has it. */
  private readonly holders = new Map<string, string>()
  private total = 0

  /** Bytes of everything that is kept. */
  get bytes(): number {
    return this.total
  }

  /** How many can be asked for. */
  get count(): number {
    return this.visible.size
  }

  /** The least recently used of those that can be asked for. */
  get oldest(): string | undefined {
    return this.visible.values().next().value
  }

  has(id: string): boolean {
    return this.entries.has(id)
  }

  /** A response that can be asked for. */
  get(id: string): StoredResponse | undefined {
    return this.visible.has(id) ? this.entries.get(id)?.stored : undefined
  }

  holderOf(itemId: string): StoredResponse | undefined {
    const id = this.holders.get(itemId)
    return id === undefined ? undefined : this.get(id)
  }

  /**
   * The response and all before it, the first one first. Undefined where one of them is missing, or
   * where files of others made a circle of them.
   */
  chainOf(id: string): StoredResponse[] | undefined {
    const chain = new Map<string, StoredResponse>()
    for (let next: string | undefined = id; next !== undefined; ) {
      const stored: StoredResponse | undefined = this.entries.get(next)?.stored
      if (stored === undefined || chain.has(next)) return undefined
      chain.set(next, stored)
      next = stored.previous
    }
    return [...chain.values()].reverse()
  }

  /** Makes a response and all before it the most recently used ones. */
  use(id: string): void {
    this.arrange((this.chainOf(id) ?? []).map((stored) => stored.id))
  }

  /** Makes these the most recently used ones, the last of them the very last. */
  arrange(ids: readonly string[]): void {
    for (const id of ids) if (this.visible.delete(id)) this.visible.add(id)
  }

  /** Adds one that is not there yet; the one that it continues must be there already. */
  add(stored: StoredResponse): void {
    this.entries.set(stored.id, { stored, followers: 0 })
    this.total += sizeOf(stored)
    const before = stored.previous === undefined ? undefined : this.entries.get(stored.previous)
    if (before !== undefined) before.followers++
    if (stored.response === undefined) return
    this.visible.add(stored.id)
    for (const itemId of stored.itemIds) this.holders.set(itemId, stored.id)
  }

  /** Removes one that can be asked for, and those before it that nobody needs any more. */
  remove(id: string): ChainChange {
    const entry = this.entries.get(id)
    if (entry === undefined || !this.visible.delete(id)) return { rewritten: [], removed: [] }
    for (const itemId of entry.stored.itemIds)
      if (this.holders.get(itemId) === id) this.holders.delete(itemId)
    if (entry.followers === 0) return { rewritten: [], removed: this.drop(entry) }
    const items = { ...entry.stored, response: undefined }
    this.total += sizeOf(items) - sizeOf(entry.stored)
    entry.stored = items
    return { rewritten: [items], removed: [] }
  }

  /** Drops an entry without followers and, before it, those that only it needed. */
  private drop(last: Entry): string[] {
    const dropped: string[] = []
    let entry: Entry | undefined = last
    while (entry !== undefined && entry.followers === 0 && !this.visible.has(entry.stored.id)) {
      const { id, previous }: StoredResponse = entry.stored
      this.entries.delete(id)
      this.total -= sizeOf(entry.stored)
      dropped.push(id)
      entry = previous === undefined ? undefined : this.entries.get(previous)
      if (entry !== undefined) entry.followers--
    }
    return dropped
  }

  /** Drops one that only its followers needed and that has none. */
  dropUnused(id: string): readonly string[] {
    const entry = this.entries.get(id)
    return entry === undefined ? [] : this.drop(entry)
  }
}
