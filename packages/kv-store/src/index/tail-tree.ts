interface Node<T> {
  /** Ids on the way from the parent; of the root none. */
  edge: Int32Array
  values: T[]
  readonly children: Map<number, Node<T>>
}

const newNode = <T>(edge: Int32Array): Node<T> => ({ edge, values: [], children: new Map() })

/** Ids at the beginning of an edge that stand at `from` too. */
function commonLength(edge: Int32Array, ids: Int32Array, from: number): number {
  const end = Math.min(edge.length, ids.length - from)
  let length = 0
  while (length < end && edge[length] === ids[from + length]) length++
  return length
}

/** A radix tree over lists of ids: all lists that a longer one begins with, in one walk. */
export class TailTree<T> {
  private readonly root: Node<T> = newNode(new Int32Array(0))

  get isEmpty(): boolean {
    return this.root.values.length === 0 && this.root.children.size === 0
  }

  /** @param ids stay as they are from now on: the tree keeps parts of them */
  insert(ids: Int32Array, value: T): void {
    let node = this.root
    for (let at = 0; at < ids.length; ) {
      const child = node.children.get(ids[at] ?? 0)
      if (child === undefined) {
        const leaf = newNode<T>(ids.subarray(at))
        node.children.set(ids[at] ?? 0, leaf)
        node = leaf
        break
      }
      const common = commonLength(child.edge, ids, at)
      node = common < child.edge.length ? this.split(node, child, common) : child
      at += common
    }
    node.values.push(value)
  }

  /** Puts a node between the two, `length` ids below the upper one. */
  private split(parent: Node<T>, child: Node<T>, length: number): Node<T> {
    const middle = newNode<T>(child.edge.subarray(0, length))
    parent.children.set(child.edge[0] ?? 0, middle)
    child.edge = child.edge.subarray(length)
    middle.children.set(child.edge[0] ?? 0, child)
    return middle
  }

  remove(ids: Int32Array, value: T): boolean {
    const path: Node<T>[] = [this.root]
    for (let at = 0; at < ids.length; ) {
      const child = path.at(-1)?.children.get(ids[at] ?? 0)
      if (child === undefined || commonLength(child.edge, ids, at) < child.edge.length) return false
      path.push(child)
      at += child.edge.length
    }
    const node = path.at(-1) ?? this.root
    const index = node.values.indexOf(value)
    if (index < 0) return false
    node.values.splice(index, 1)
    this.prune(path)
    return true
  }

  /** Takes away nodes that lead nowhere, from the end of a path. */
  private prune(path: readonly Node<T>[]): void {
    for (let depth = path.length - 1; depth > 0; depth--) {
      const [node, parent] = [path[depth], path[depth - 1]]
      if (node === undefined || parent === undefined) return
      if (node.values.length > 0 || node.children.size > 0) return
      parent.children.delete(node.edge[0] ?? 0)
    }
  }

  /** Values of all lists that stand at `from` in these ids, the longest list first. */
  prefixesOf(ids: Int32Array, from: number): T[] {
    const found: T[] = []
    let node: Node<T> | undefined = this.root
    for (let at = from; node !== undefined; ) {
      for (const value of node.values) found.push(value)
      node = at < ids.length ? node.children.get(ids[at] ?? 0) : undefined
      if (node === undefined || commonLength(node.edge, ids, at) < node.edge.length) break
      at += node.edge.length
    }
    return found.reverse()
  }

  /** A list that agrees with the ids at `from` for longest; the tree is not empty. */
  nearest(ids: Int32Array, from: number): { value: T; common: number } | undefined {
    let node = this.root
    let at = from
    for (;;) {
      const child: Node<T> | undefined =
        at < ids.length ? node.children.get(ids[at] ?? 0) : undefined
      if (child === undefined) break
      const common = commonLength(child.edge, ids, at)
      at += common
      node = child
      if (common < child.edge.length) break
    }
    const value = firstValue(node)
    return value === undefined ? undefined : { value, common: at - from }
  }

  /** Any value. */
  get first(): T | undefined {
    return firstValue(this.root)
  }
}

/** Any value at or below a node. */
function firstValue<T>(node: Node<T>): T | undefined {
  for (let at: Node<T> | undefined = node; at !== undefined; ) {
    if (at.values.length > 0) return at.values[0]
    at = at.children.values().next().value
  }
  return undefined
}
