import { describe, expect, test } from "bun:test"
import { importCycles, includeCycles } from "./cycles.ts"
import type { SourceFile } from "./finding.ts"
import { importsOf } from "./imports-of.ts"
import { packageEntries } from "./package-entries.ts"

const tree = (files: Readonly<Record<string, string>>): SourceFile[] =>
  Object.entries(files).map(([path, text]) => ({ path, text }))

describe("imports", () => {
  test("static, type-only, bare and dynamic ones are found; texts and comments are not", () => {
    const text = [
      'import type { A } from "./a.ts"',
      "import {\n  b,\n} from './b.ts'",
      'export * from "./c.ts"',
      'import "./d.ts"',
      'const e = await import("./e.ts")',
      'type F = import("./f.ts").F',
      '// import { g } from "./g.ts"',
      `const h = 'import { h } from "./h.ts"'`,
    ].join("\n")
    const found = importsOf(text)
    const names = found.map(({ specifier }) => specifier.charAt(2))
    expect(names.sort().join("")).toBe("abcdef")
    expect(found.filter(({ isType }) => isType)).toMatchObject([
      { specifier: "./a.ts", isType: true, line: 1, names: ["A"] },
    ])
  })
})

describe("import cycles", () => {
  test("a chain is none; a way back is found through types and dynamic imports too", () => {
    const chain = { "packages/a/src/x.ts": 'import "./y.ts"', "packages/a/src/y.ts": "" }
    expect(importCycles(tree(chain))).toEqual([])
    for (const back of ['import type { X } from "./x.ts"', 'void import("./x.ts")'])
      expect(importCycles(tree({ ...chain, "packages/a/src/y.ts": back }))).toMatchObject([
        { check: "import-cycle", path: "packages/a/src/x.ts", line: 1 },
      ])
  })

  test("one finding for a knot of files, with its shortest cycle", () => {
    const knot = tree({
      "a.ts": 'import "./b.ts"',
      "b.ts": 'import "./c.ts"\nimport "./a.ts"',
      "c.ts": 'import "./a.ts"',
      "d.ts": 'import "./a.ts"',
    })
    expect(importCycles(knot).map(({ message }) => message)).toEqual([
      "turns back: -> b.ts -> a.ts",
    ])
  })

  test("packages are followed by their names and entries", () => {
    const files = tree({
      "packages/a/package.json":
        '{"name":"@ds4/a","exports":{".":"./src/i.ts","./t":"./src/t.ts"}}',
      "packages/a/src/i.ts": "",
      "packages/a/src/t.ts": 'import "@ds4/b"',
      "packages/b/package.json": '{"name":"@ds4/b","exports":{".":"./src/i.ts"}}',
      "packages/b/src/i.ts": 'import "@ds4/a/t"',
    })
    expect([...packageEntries(files).keys()]).toEqual(["@ds4/a", "@ds4/a/t", "@ds4/b"])
    expect(importCycles(files)).toHaveLength(1)
  })
})

test("include cycles are found beside the file and from the include roots", () => {
  const files = {
    "native/src/base/a.h": '#include "base/b.h"\n',
    "native/src/base/b.h": '#include <a.h>\n// #include "a.h"\n',
  }
  expect(includeCycles(tree(files))).toEqual([])
  const cycle = { ...files, "native/src/base/b.h": '#include "a.h"\n' }
  expect(includeCycles(tree(cycle))).toMatchObject([
    { check: "include-cycle", path: "native/src/base/a.h", line: 1 },
  ])
})
