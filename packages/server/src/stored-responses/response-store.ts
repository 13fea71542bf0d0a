// Keeps responses for later requests: in memory, and in a folder where one is given.
import { ResponseChains } from "./response-chains.ts"
import type { ResponseFolder } from "./response-folder.ts"
import { byLastUse, inChainOrder } from "./response-order.ts"
import type { StoredResponse } from "./stored-response.ts"

export interface StoredResponseLimits {
  /** Responses that can be asked for; 0: none is stored. */
  readonly count: number
  /** Bytes of their items and objects, in memory and again in the folder. */
  readonly bytes: number
}

/** Files may hold more than the limit, where it was lowered; so much of it is read. */
const READ_SHARE = 2

export class ResponseStore {
  private readonly chains = new ResponseChains()
  private loading: Promise<void> | undefined
  private readonly saving = new Set<Promise<void>>()
  private readonly folder: ResponseFolder | undefined

  constructor(
    private readonly limits: StoredResponseLimits,
    folder: ResponseFolder | undefined,
  ) {
    this.folder = limits.count === 0 ? undefined : folder
  }

  /** Whether a response of so many bytes would be kept. */
  accepts(bytes: number): boolean {
    return this.limits.count > 0 && bytes <= this.limits.bytes
  }

  /** A response that this owner may read. */
  async find(id: string, owner: string): Promise<StoredResponse | undefined> {
    await this.ready()
    if (!this.chains.has(id)) await this.readFromFolder(id)
    const stored = this.chains.get(id)
    if (stored === undefined || stored.owner !== owner) return undefined
    this.chains.use(id)
    void this.folder?.touch(id)
    return stored
  }

  /** The response and all before it, the first one first. */
  async chain(id: string, owner: string): Promise<readonly StoredResponse[] | undefined> {
    return (await this.find(id, owner)) === undefined ? undefined : this.chains.chainOf(id)
  }

  /** The response that has an item of this id. */
  async holderOf(itemId: string, owner: string): Promise<StoredResponse | undefined> {
    await this.ready()
    const holder = this.chains.holderOf(itemId)
    return holder === undefined ? undefined : this.find(holder.id, owner)
  }

  /**
   * Keeps a response; resolves when it is in its file. Those before it that went in the meantime
   * come back as items alone.
   * @param before the chain that it continues, the first one first
   */
  async save(stored: StoredResponse, before: readonly StoredResponse[]): Promise<void> {
    const saved = this.keep(stored, before)
    this.saving.add(saved)
    await saved.finally(() => this.saving.delete(saved))
  }

  private async keep(stored: StoredResponse, before: readonly StoredResponse[]): Promise<void> {
    await this.ready()
    const gone = before.filter(({ id }) => !this.chains.has(id))
    const added = [...gone.map((each) => ({ ...each, response: undefined })), stored]
    for (const each of added) this.chains.add(each)
    this.chains.use(stored.id)
    const written = added.map(async (each) => this.folder?.write(each))
    this.shrink()
    await Promise.all(written)
  }

  /** Deletes a response; false where this owner has none of this id. */
  async remove(id: string, owner: string): Promise<boolean> {
    if ((await this.find(id, owner)) === undefined) return false
    await this.forget(id)
    return true
  }

  /** Resolves when the folder has everything. */
  async idle(): Promise<void> {
    await Promise.all(this.saving)
    await this.folder?.idle()
  }

  private async ready(): Promise<void> {
    await (this.loading ??= this.load())
  }

  private async load(): Promise<void> {
    if (this.folder === undefined) return
    const found = inChainOrder(await this.folder.readAll(READ_SHARE * this.limits.bytes))
    for (const { stored } of found) this.chains.add(stored)
    this.chains.arrange(byLastUse(found))
    for (const { stored } of found)
      if (stored.response === undefined)
        for (const id of this.chains.dropUnused(stored.id)) void this.folder.remove(id)
    this.shrink()
  }

  /** Finds what another server has written into the folder since. */
  private async readFromFolder(id: string): Promise<void> {
    const found = new Map<string, StoredResponse>()
    for (let next: string | undefined = id; next !== undefined && !this.chains.has(next); ) {
      if (found.has(next)) return // a circle
      const stored: StoredResponse | undefined = await this.folder?.read(next, this.limits.bytes)
      if (stored === undefined) break
      found.set(next, stored)
      next = stored.previous
    }
    // Another request may have read the same files meanwhile.
    for (const stored of [...found.values()].reverse())
      if (!this.chains.has(stored.id)) this.chains.add(stored)
    if (this.chains.has(id)) this.chains.use(id)
    this.shrink()
  }

  /** Lets the least recently used go until the limits hold. */
  private shrink(): void {
    const { count, bytes } = this.limits
    while (this.chains.count > count || this.chains.bytes > bytes) {
      const { oldest } = this.chains
      if (oldest === undefined) return
      void this.forget(oldest)
    }
  }

  /** Memory changes at once; resolves when the files have, too. */
  private async forget(id: string): Promise<void> {
    const { rewritten, removed } = this.chains.remove(id)
    const { folder } = this
    if (folder === undefined) return
    await Promise.all([
      ...rewritten.map(async (each) => folder.write(each)),
      ...removed.map(async (each) => folder.remove(each)),
    ])
  }
}
