import { blockHash } from "../format/keys.ts"
import { bytesOfIds, PAGE_TOKENS } from "../format/layout.ts"
import { TailTree } from "./tail-tree.ts"

/** Where a list of ids ends: the hashes of its whole blocks of 2,048, and the ids behind them. */
export interface PrefixPlace {
  readonly hashes: BigUint64Array
  readonly tail: Int32Array
}

interface BlockNode<T> {
  readonly children: Map<bigint, BlockNode<T>>
  readonly tails: TailTree<T>
}

const newNode = <T>(): BlockNode<T> => ({ children: new Map(), tails: new TailTree() })

/**
 * Finds the lists of ids that a prompt begins with. Whole blocks are compared by their hash, so
 * it needs no ids of theirs in memory. A hash may collide: who takes a value compares its ids.
 */
export class PrefixIndex<T> {
  private readonly root: BlockNode<T> = newNode()

  get isEmpty(): boolean {
    return this.root.children.size === 0 && this.root.tails.isEmpty
  }

  insert({ hashes, tail }: PrefixPlace, value: T): void {
    let node = this.root
    for (const hash of hashes) {
      let child = node.children.get(hash)
      if (child === undefined) node.children.set(hash, (child = newNode()))
      node = child
    }
    node.tails.insert(tail, value)
  }

  remove({ hashes, tail }: PrefixPlace, value: T): boolean {
    const path = [this.root]
    for (const hash of hashes) {
      const child = path.at(-1)?.children.get(hash)
      if (child === undefined) return false
      path.push(child)
    }
    const isRemoved = path.at(-1)?.tails.remove(tail, value) ?? false
    for (let depth = path.length - 1; depth > 0; depth--) {
      const [node, parent, hash] = [path[depth], path[depth - 1], hashes[depth - 1]]
      if (node === undefined || parent === undefined || hash === undefined) break
      if (!node.tails.isEmpty || node.children.size > 0) break
      parent.children.delete(hash)
    }
    return isRemoved
  }

  /** Nodes on the way of these ids' whole blocks, from the root on. */
  private pathOf(ids: Int32Array): BlockNode<T>[] {
    const path = [this.root]
    const bytes = bytesOfIds(ids)
    const blocks = Math.floor(ids.length / PAGE_TOKENS)
    for (let block = 0; block < blocks; block++) {
      const parent = path.at(-1)
      if (parent === undefined || parent.children.size === 0) break
      const child = parent.children.get(blockHash(bytes, block))
      if (child === undefined) break
      path.push(child)
    }
    return path
  }

  /** Values of all lists that these ids begin with, the whole list included; longest first. */
  *prefixesOf(ids: Int32Array): Generator<T, void, undefined> {
    const path = this.pathOf(ids)
    for (let depth = path.length - 1; depth >= 0; depth--)
      yield* path[depth]?.tails.prefixesOf(ids, depth * PAGE_TOKENS) ?? []
  }

  /**
   * Lists that may agree with these ids for longest: they agree in `common` ids at least. Where
   * only a block's hash is known, each of up to `most` different blocks is one candidate.
   */
  nearest(ids: Int32Array, most: number): { value: T; common: number }[] {
    const path = this.pathOf(ids)
    const begin = (path.length - 1) * PAGE_TOKENS
    const node = path.at(-1)
    if (node === undefined) return []
    const tail = node.tails.nearest(ids, begin)
    const candidates = tail === undefined ? [] : [{ ...tail, common: begin + tail.common }]
    for (const child of node.children.values()) {
      if (candidates.length >= most) break
      const value = firstValue(child)
      if (value !== undefined) candidates.push({ value, common: begin })
    }
    return candidates
  }
}

/** Any value at or below a node. */
function firstValue<T>(node: BlockNode<T>): T | undefined {
  for (let at: BlockNode<T> | undefined = node; at !== undefined; ) {
    const { first } = at.tails
    if (first !== undefined) return first
    at = at.children.values().next().value
  }
  return undefined
}
