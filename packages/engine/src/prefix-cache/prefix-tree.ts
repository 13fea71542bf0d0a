// A radix tree of token lists. It finds those that begin a prompt in one walk along the prompt,
// however many there are.

/** A place of the tree. One that a value was put at stays the same object until it is removed. */
export interface PrefixNode<T> {
  /** Tokens from the root to here. */
  readonly end: number
  readonly values: readonly T[]
}

interface Node<T> extends PrefixNode<T> {
  values: T[]
  /** The last of the tokens that lead here from the parent. */
  edge: Int32Array
  parent: Node<T> | undefined
  readonly children: Map<number, Node<T>>
}

export class PrefixTree<T> {
  private readonly root: Node<T> = nodeOf(new Int32Array(), undefined)

  /** Puts a value at the end of a token list. The tokens are copied. */
  insert(tokens: Int32Array, value: T): PrefixNode<T> {
    let node = this.root
    while (node.end < tokens.length) {
      const child = node.children.get(tokens[node.end] ?? -1)
      if (child === undefined) {
        const leaf = nodeOf(tokens.slice(node.end), node)
        node.children.set(leaf.edge[0] ?? -1, leaf)
        node = leaf
        break
      }
      const common = commonLength(child.edge, 0, tokens, node.end)
      node = common === child.edge.length ? child : split(child, common)
    }
    node.values.push(value)
    return node
  }

  /** Takes a value away from the place that insert gave. */
  remove(place: PrefixNode<T>, value: T): void {
    const node = place as Node<T>
    const index = node.values.indexOf(value)
    if (index >= 0) node.values.splice(index, 1)
    this.tidy(node)
  }

  /** The places with values whose tokens begin the prompt, the longest first. */
  beginnings(prompt: Int32Array): PrefixNode<T>[] {
    const found: Node<T>[] = []
    let node = this.root
    for (;;) {
      if (node.values.length > 0) found.push(node)
      const child = node.children.get(prompt[node.end] ?? -1)
      if (child === undefined || child.end > prompt.length) break
      if (commonLength(child.edge, 0, prompt, node.end) < child.edge.length) break
      node = child
    }
    return found.reverse()
  }

  /** The nearest place with values on the way from this one to the root. */
  before(place: PrefixNode<T>): PrefixNode<T> | undefined {
    let node = (place as Node<T>).parent
    while (node !== undefined && node.values.length === 0) node = node.parent
    return node
  }

  /**
   * How many tokens of the prompt's beginning a list in the tree shares at most, and the next ones
   * of such a list. There are none where the prompt goes on behind its end.
   */
  nearest(prompt: Int32Array, count: number): { shared: number; next: number[] } {
    let node = this.root
    for (;;) {
      const child = node.children.get(prompt[node.end] ?? -1)
      if (child === undefined) return { shared: node.end, next: tokensBelow(node, count) }
      const common = commonLength(child.edge, 0, prompt, node.end)
      if (common < child.edge.length) {
        const rest = [...child.edge.subarray(common, common + count)]
        const next = [...rest, ...tokensBelow(child, count - rest.length)]
        return { shared: node.end + common, next }
      }
      node = child
    }
  }

  /** Drops a node that leads nowhere, and joins one that only leads on. */
  private tidy(node: Node<T>): void {
    const { parent } = node
    if (parent === undefined || node.values.length > 0) return
    const [only, ...others] = node.children.values()
    if (only === undefined) {
      parent.children.delete(node.edge[0] ?? -1)
      this.tidy(parent)
    } else if (others.length === 0) {
      only.edge = joined(node.edge, only.edge)
      only.parent = parent
      parent.children.set(only.edge[0] ?? -1, only)
    }
  }
}

function nodeOf<T>(edge: Int32Array, parent: Node<T> | undefined): Node<T> {
  const end = (parent?.end ?? 0) + edge.length
  return { end, values: [], edge, parent, children: new Map() }
}

/** The first tokens of some list that goes on behind a node. */
function tokensBelow<T>(node: Node<T>, count: number): number[] {
  const [child] = node.children.values()
  if (count <= 0 || child === undefined) return []
  const tokens = [...child.edge.subarray(0, count)]
  return [...tokens, ...tokensBelow(child, count - tokens.length)]
}

/** Puts a node between a node and its parent, behind the first `length` tokens of its edge. */
function split<T>(node: Node<T>, length: number): Node<T> {
  const between = nodeOf(node.edge.slice(0, length), node.parent)
  node.parent?.children.set(between.edge[0] ?? -1, between)
  node.edge = node.edge.slice(length)
  node.parent = between
  between.children.set(node.edge[0] ?? -1, node)
  return between
}

function joined(a: Int32Array, b: Int32Array): Int32Array {
  const whole = new Int32Array(a.length + b.length)
  whole.set(a)
  whole.set(b, a.length)
  return whole
}

/** Counts the equal tokens of a from aBegin on and of b from bBegin on. */
export function commonLength(a: Int32Array, aBegin: number, b: Int32Array, bBegin: number): number {
  const limit = Math.min(a.length - aBegin, b.length - bBegin)
  let length = 0
  while (length < limit && a[aBegin + length] === b[bBegin + length]) length++
  return length
}
