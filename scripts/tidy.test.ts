import { describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { checkTree } from "./tidy.ts"
import { blankSource } from "./tidy/blank-source.ts"
import { checkAnchors, namedPaths } from "./tidy/docs.ts"
import { applyExemptions, parseConfig } from "./tidy/exemptions.ts"
import { checkImports } from "./tidy/imports.ts"
import { checkSizes, functionSpans } from "./tidy/sizes.ts"
import { checkWords } from "./tidy/words.ts"

const body = (lines: number) =>
  Array.from({ length: lines }, (_, index) => `  call(${index})`).join("\n")
const checks = (findings: readonly { check: string }[]) => findings.map(({ check }) => check)

describe("blanking", () => {
  test(
    "texts, comments, templates and regular expressions disappear, code and line " + "numbers stay",
    () => {
      const source =
        "const a = '{' // {\nconst b = `{${ { c: 1 }.c }{`\n" +
        "/* {\n */ const d = /[{/]{/.test(a) ? 4 / 2 : 1\n"
      const code = blankSource(source, "typescript")
      expect(code.split("\n")).toHaveLength(5)
      expect(code.split("{")).toHaveLength(2)
      expect(code).toContain("4 / 2")
    },
  )

  test("C++ raw strings and digit separators are understood", () => {
    const code = blankSource(`auto a = R"x({)" )x"; int b = 1'000'000; char c = '{';\n`, "c++")
    expect(code).not.toContain("{")
    expect(code).toContain("1'000'000")
  })
})

describe("sizes", () => {
  test("a function of 70 lines passes, one of 71 does not", () => {
    const source = (lines: number) =>
      `export function long(a: number): Promise<void> {\n${body(lines - 2)}\n}\n`
    expect(checkSizes({ path: "packages/a/src/x.ts", text: source(70) })).toEqual([])
    expect(checks(checkSizes({ path: "packages/a/src/x.ts", text: source(71) }))).toEqual([
      "function-size",
    ])
  })

  test(
    "methods, arrows and C++ functions are found; blocks of if, for and describe are not " +
      "functions",
    () => {
      const typescript =
        "class A {\n  run(a: number) {\n    if (a) {\n    }\n  }\n}\nconst f = async (x: string) " +
        "=> {\n}\ndescribe('d', () => {\n  test('t', () => {\n  })\n})\n"
      expect(functionSpans(typescript, "typescript").map(({ lines }) => lines)).toEqual([4, 2, 2])
      const cpp =
        "namespace ds4 {\nint Thing::run(int a) const noexcept {\n  for (;;) {\n  }\n}\n" +
        "Thing::Thing(int a) : a_(a) {\n}\nauto f() -> int {\n}\n}\n"
      expect(functionSpans(cpp, "c++").map(({ name }) => name)).toEqual(["run", "a_", "f"])
    },
  )

  test("the file limit depends on the language", () => {
    const text = "int a;\n".repeat(500)
    expect(checks(checkSizes({ path: "native/src/core/x.cc", text }))).toEqual([])
    expect(checks(checkSizes({ path: "native/src/core/x.cc", text: text.repeat(2) }))).toEqual([
      "file-size",
    ])
    expect(checks(checkSizes({ path: "packages/a/src/x.ts", text }))).toEqual(["file-size"])
  })
})

describe("imports", () => {
  const find = (path: string, text: string) =>
    checkImports({ path, text }).map(({ message }) => message)

  test("arrows between packages do not turn back", () => {
    expect(find("packages/tokenizer/src/a.ts", `import { x } from "@ds4/engine"`)).toHaveLength(1)
    expect(find("packages/ffi/src/a.ts", `export { x } from "@ds4/tokenizer"`)).toHaveLength(1)
    expect(find("packages/engine/src/a.ts", `import { open } from "@ds4/chat"`)).toHaveLength(1)
    expect(find("packages/model-file/src/a.ts", `import { x } from "@ds4/tokenizer"`)).toHaveLength(
      1,
    )
    expect(find("packages/server/src/a.ts", `import { main } from "@ds4/cli"`)).toHaveLength(1)
    expect(find("packages/engine/src/a.ts", `const m = await import("@ds4/server")`)).toHaveLength(
      1,
    )
    expect(
      find("packages/engine/src/a.ts", `import { x } from "@ds4/tokenizer"\nimport "@ds4/ffi"`),
    ).toEqual([])
  })

  test("cli takes only types from server", () => {
    expect(find("packages/cli/src/a.ts", `import type { App } from "@ds4/server"`)).toEqual([])
    expect(find("packages/cli/src/a.ts", `import { app } from "@ds4/server"`)).toHaveLength(1)
  })

  test("a relative import stays in its package", () => {
    expect(find("packages/cli/src/a.ts", `import { x } from "./b.ts"`)).toEqual([])
    expect(find("packages/cli/src/a.ts", `import { x } from "../../engine/src/b.ts"`)).toHaveLength(
      1,
    )
  })

  test("support of tests is for tests and for other support", () => {
    const support = `import { fakeEngine } from "./testing/fake-engine.ts"`
    const foreign = `import { fakeEngine } from "@ds4/engine/testing"`
    expect(find("packages/engine/src/a.ts", support)).toHaveLength(1)
    expect(find("packages/server/src/a.ts", foreign)).toHaveLength(1)
    expect(find("packages/engine/src/a.test.ts", support)).toEqual([])
    expect(find("packages/server/src/testing/a.ts", foreign)).toEqual([])
    expect(find("packages/server/bench/a.ts", foreign)).toEqual([])
  })

  test("native layers include downwards only", () => {
    expect(
      find("native/src/model/a.cc", `#include "base/status.h"\n#include "api/shim.h"\n`),
    ).toHaveLength(1)
    expect(find("native/src/base/a.h", `#include "format/convert.h"\n`)).toHaveLength(1)
    expect(find("native/src/core/a.cc", `#include "model/model.h"\n#include <vector>\n`)).toEqual(
      [],
    )
  })

  test("devices know nothing of each other, and one file opens them", () => {
    const cpu = `#include "base/fail.h"\n#include "backend/cpu/buffer.h"\n`
    const cuda = `#include "backend/cuda/stream.h"\n`
    const tree = {
      "native/src/backend/cuda/cuda_backend.cc": [cpu, 1],
      "native/src/backend/cuda/kernels/attention.cu": [cpu, 1],
      "native/src/backend/cuda/attention_test.cc": [cpu, 0], // compares the two
      "native/src/backend/cpu/cpu_backend.cc": [cuda, 1],
      "native/src/backend/cpu/kernels/registry.cc": [cuda, 1],
      "native/src/backend/cpu/blocks/moe.cc": [cpu, 0],
      "native/src/backend/open_backend.cc": [cpu + cuda, 0],
      "native/src/backend/step_lane.cc": [cuda, 1],
      "native/src/core/engine.cc": [cpu + cuda, 2],
      "native/src/experts/packed_experts.cc": [cpu, 1],
    } as const
    for (const [path, [text, count]] of Object.entries(tree))
      expect([path, find(path, text).length]).toEqual([path, count])
  })
})

describe("words", () => {
  const find = (path: string, text: string) => checks(checkWords({ path, text }))

  test("open points need a number, suppressed rules a reason", () => {
    expect(find("packages/a/src/x.ts", "// TODO: later\n")).toEqual(["todo"])
    expect(find("packages/a/src/x.ts", "// TODO(#12): later\n")).toEqual([])
    expect(find("packages/a/src/x.ts", "// @ts-ignore\n")).toEqual(["suppression"])
    expect(find("packages/a/src/x.ts", "// oxlint-disable-next-line no-console\n")).toEqual([
      "suppression",
    ])
    expect(
      find("packages/a/src/x.ts", "// oxlint-disable-next-line no-console -- a script prints\n"),
    ).toEqual([])
  })

  test(
    "a non-null mark needs a comment on its line; not-equal and negation are no such " + "marks",
    () => {
      expect(find("packages/a/src/x.ts", "const a = list[0]!.b\n")).toEqual(["non-null"])
      expect(
        find("packages/a/src/x.ts", "const a = list[0]!.b // never empty: checked above\n"),
      ).toEqual([])
      expect(find("packages/a/src/x.ts", "if (a !== b && !c) use(`x!`)\n")).toEqual([])
    },
  )

  test("vague folders and machine paths are refused", () => {
    expect(find("packages/a/src/utils/x.ts", "")).toEqual(["folder-name"])
    expect(find("docs/a.md", "see /root/file")).toEqual(["machine-path"])
  })
})

test("documents name paths in backticks and links; commands and addresses are not paths", () => {
  const text =
    "see `packages/cli/src/main.ts`, `bun run test`, `a/b` and [x](docs/abi.md#log), " +
    "[y](https://example.org)"
  expect(namedPaths(text).map(({ path }) => path)).toEqual([
    "packages/cli/src/main.ts",
    "docs/abi.md",
  ])
})

test("cited headings exist", () => {
  const document = { path: "docs/numerics.md", text: "# Numerics\n\n## Cache rows\n" }
  const citing = (anchor: string) => ({
    path: "native/src/model/a.h",
    text: `// docs/numerics.md#${anchor}\n`,
  })
  expect(checkAnchors([document, citing("cache-rows")])).toEqual([])
  expect(checks(checkAnchors([document, citing("cache-row")]))).toEqual(["docs"])
})

test("an exemption needs a reason and must still be needed", () => {
  expect(() => parseConfig(`{"exempt":[{"check":"todo","path":"a.ts"}]}`)).toThrow("reason")
  const exemption = { check: "todo", path: "a.ts", reason: "long enough a reason" }
  const finding = { check: "todo", path: "a.ts", line: 1, message: "" }
  expect(applyExemptions([finding], [exemption])).toEqual([])
  expect(checks(applyExemptions([], [exemption]))).toEqual(["exemption"])
})

test("a tree is checked as a whole, generated and installed folders aside", () => {
  const root = mkdtempSync(join(tmpdir(), "ds4-tidy-"))
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  try {
    write("packages/a/package.json", "{}")
    write("packages/a/README.md", `${"line\n".repeat(61)}see \`packages/a/src/gone.ts\`\n`)
    write("packages/a/node_modules/x/index.ts", "// TODO: not ours\n")
    expect(checks(checkTree(root, `{"exempt":[]}`)).toSorted()).toEqual(["docs", "readme-size"])
  } finally {
    rmSync(root, { recursive: true })
  }
})
