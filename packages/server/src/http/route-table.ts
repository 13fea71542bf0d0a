// Knows all paths and their methods. It tells 404 from 405, and names a path's route without the
// client's own words in it.

interface KnownRoute {
  method: string
  path: string
}

export class RouteTable {
  private readonly rows: { path: string; pattern: RegExp; methods: Set<string> }[] = []

  constructor(routes: readonly KnownRoute[]) {
    const methods = new Map<string, Set<string>>()
    for (const { method, path } of routes) {
      const known = methods.get(path) ?? new Set<string>()
      known.add(method)
      if (method === "GET") known.add("HEAD")
      methods.set(path, known.add("OPTIONS"))
    }
    for (const [path, set] of methods) {
      const source = path
        .split("/")
        .map((part) => (part.startsWith(":") ? "[^/]+" : part === "*" ? ".+" : RegExp.escape(part)))
        .join("/")
      this.rows.push({ path, pattern: new RegExp(`^${source}/?$`), methods: set })
    }
  }

  /** The route that a path belongs to, such as "/v1/models/:id", or undefined if it is unknown. */
  routeOf(path: string): string | undefined {
    return this.rows.find((row) => row.pattern.test(path))?.path
  }

  /** Methods of a path, or undefined if it is unknown. */
  methodsOf(path: string): string[] | undefined {
    const found = this.rows
      .filter((row) => row.pattern.test(path))
      .flatMap((row) => [...row.methods])
    return found.length === 0 ? undefined : [...new Set(found)].sort()
  }
}
