import { describe, expect, test } from "bun:test"
import type { SourceFile } from "./finding.ts"
import { importsOf } from "./imports-of.ts"
import { checkReferences } from "./references.ts"

const tree = (files: Readonly<Record<string, string>>): SourceFile[] =>
  Object.entries(files).map(([path, text]) => ({ path, text }))

const MANIFEST =
  '{"name":"@ds4/a","exports":{".":"./src/index.ts","./testing":"./src/testing/fake.ts"},' +
  '"bin":{"a":"bin/a.ts"},"scripts":{"docs":"bun scripts/docs.ts --check"}}'

/** Findings of a package whose entry imports what `files` adds to it. */
const find = (files: Readonly<Record<string, string>>) =>
  checkReferences(
    tree({
      "packages/a/package.json": MANIFEST,
      "packages/a/src/index.ts": 'export { a } from "./a.ts"\n',
      "packages/a/src/a.ts": "export const a = 1\n",
      ...files,
    }),
  ).map(({ path, message }) => `${path.slice("packages/a/".length)}: ${message}`)

describe("names that imports take", () => {
  test("static, aliased, default, star and dynamic imports", () => {
    const names = (text: string) => importsOf(text).flatMap((each) => each.names)
    expect(names('import d, { a, type b, c as e } from "./x.ts"')).toEqual([
      "default",
      "a",
      "b",
      "c",
    ])
    expect(names('import * as x from "./x.ts"')).toEqual(["*"])
    expect(names('const { a, b: c } = await import("./x.ts")')).toEqual(["a", "b"])
    expect(names('type A = import("./x.ts").A')).toEqual(["A"])
    expect(names('const a = (await import("./x.ts")).a')).toEqual(["a"])
    expect(names('const x = await import("./x.ts")')).toEqual(["*"])
  })

  test("re-exports keep both names", () => {
    const [first] = importsOf('export { a as b, type c } from "./x.ts"')
    expect([...(first?.reexports ?? [])]).toEqual([
      ["b", "a"],
      ["c", "c"],
    ])
  })
})

describe("files", () => {
  test("what an entry, a program, a script, a test, a text or a document names is reached", () => {
    expect(
      find({
        "packages/a/src/index.ts": 'export { a } from "./a.ts"\nnew Worker("./worker.ts")\n',
        "packages/a/src/worker.ts": 'import "./deep.ts"\n',
        "packages/a/src/deep.ts": "",
        "packages/a/bin/a.ts": "",
        "packages/a/scripts/docs.ts": "",
        "packages/a/bench/rate.ts": "",
        "packages/a/README.md": "`bun bench/rate.ts`",
        "packages/a/src/testing/fake.ts": "",
        "packages/a/src/a.test.ts": 'import "./testing/only.ts"\n',
        "packages/a/src/testing/only.ts": "",
      }),
    ).toEqual([])
  })

  test("any other file is found, and a header that nothing includes", () => {
    expect(find({ "packages/a/src/gone.ts": "" })).toEqual([
      "src/gone.ts: no entry, test, package script or document leads to this file",
    ])
    const headers = { "native/src/b.cc": '#include "a/a.h"\n', "native/src/a/a.h": "" }
    expect(checkReferences(tree(headers))).toEqual([])
    expect(checkReferences(tree({ ...headers, "native/src/b.cc": "" }))).toMatchObject([
      { check: "unreferenced", path: "native/src/a/a.h" },
    ])
  })
})

describe("exports", () => {
  test("a name that nothing imports is found; names of entries are for others", () => {
    const a = "export const a = 1\nexport type B = string\nconst c = 1\nexport { c as d }\n"
    expect(find({ "packages/a/src/a.ts": a })).toEqual([
      "src/a.ts: nothing imports B; make it private or remove it",
      "src/a.ts: nothing imports d; make it private or remove it",
    ])
  })

  test("re-exports are followed by name, and through stars", () => {
    const through = (barrel: string) =>
      find({
        "packages/a/src/a.ts": 'import { y } from "./barrel.ts"\nexport const a = y\n',
        "packages/a/src/barrel.ts": barrel,
        "packages/a/src/x.ts": "export const y = 1\nexport const z = 1\n",
      })
    const finding = "src/x.ts: nothing imports z; make it private or remove it"
    expect(through('export { y } from "./x.ts"\n')).toEqual([finding])
    expect(through('export * from "./x.ts"\n')).toEqual([finding])
  })

  test("tests may look at what its own file uses, and keep nothing alive", () => {
    const tested = (a: string) =>
      find({
        "packages/a/src/a.ts": a,
        "packages/a/src/a.test.ts": 'import { b } from "./a.ts"\n',
      })
    expect(tested("export const b = 1\nexport const a = b\n")).toEqual([])
    expect(tested("export const b = 1\nexport const a = 1\n")).toEqual([
      "src/a.ts: only tests use b; remove it",
    ])
  })

  test("support of tests exists for tests", () => {
    expect(
      find({
        "packages/a/src/testing/model.ts": "export const model = 1\n",
        "packages/a/src/a.test.ts": 'import { model } from "./testing/model.ts"\n',
      }),
    ).toEqual([])
  })
})
