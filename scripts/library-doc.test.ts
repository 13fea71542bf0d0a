import { describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LIBRARY_PACKAGES, libraryDoc } from "./library-doc.ts"
import { declarationsOf, exportsOf } from "./library-doc/declarations.ts"

function inFile<T>(text: string, read: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "ds4-library-"))
  try {
    const path = join(folder, "source.ts")
    writeFileSync(path, text)
    return read(path)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe("the reference of the typed library", () => {
  test.each([...LIBRARY_PACKAGES])("docs/library/%s.md is what the exports say", async (name) => {
    const path = join(import.meta.dir, `../docs/library/${name}.md`)
    expect(await Bun.file(path).text()).toBe(libraryDoc(name))
  })

  test("bodies, private members and initial values are left out, docstrings stay", () => {
    const source = [
      "/** Adds. */",
      "export function add(a: number, b = 2): number {",
      "  return a + b",
      "}",
      "",
      "/** Counts. */",
      "export class Counter {",
      "  private at = 0",
      "  readonly step: number = 1",
      "  constructor(private readonly limit: number) {}",
      "  /** One more. */",
      "  next(): number {",
      "    return (this.at += this.step)",
      "  }",
      "}",
    ]
    expect(inFile(source.join("\n"), declarationsOf)).toEqual([
      { name: "add", doc: "Adds.", code: "function add(a: number, b = 2): number" },
      {
        name: "Counter",
        doc: "Counts.",
        code: [
          "class Counter {",
          "  readonly step: number",
          "  constructor(limit: number)",
          "  /** One more. */",
          "  next(): number",
          "}",
        ].join("\n"),
      },
    ])
  })

  test("an index that does more than re-export by name is refused", () => {
    expect(() => inFile('export * from "./other.ts"\n', exportsOf)).toThrow("by name")
    expect(inFile('export { a, type B } from "./x.ts"\n', exportsOf)).toEqual([
      { name: "a", from: "./x.ts" },
      { name: "B", from: "./x.ts" },
    ])
  })
})
