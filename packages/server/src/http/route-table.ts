// Known paths and their methods: tells 404 from 405.

export interface KnownRoute { method: string; path: string }

export class RouteTable {
  private readonly rows: { pattern: RegExp; methods: Set<string> }[] = []

  constructor(routes: readonly KnownRoute[]) {
    const methods = new Map<string, Set<string>>()
    for (const { method, path } of routes) {
      const known = methods.get(path) ?? new Set<string>()
      known.add(method)
      if (method === "GET") known.add("HEAD")
      methods.set(path, known.add("OPTIONS"))
    }
    for (const [path, set] of methods) {
      const source = path.split("/").map((part) => (part.startsWith(":") ? "[^/]+" : RegExp.escape(part))).join("/")
      this.rows.push({ pattern: new RegExp(`^${source}/?$`), methods: set })
    }
  }

  /** Methods of a path, or undefined if it is unknown. */
  methodsOf(path: string): string[] | undefined {
    const found = this.rows.filter((row) => row.pattern.test(path)).flatMap((row) => [...row.methods])
    return found.length === 0 ? undefined : [...new Set(found)].sort()
  }
}
