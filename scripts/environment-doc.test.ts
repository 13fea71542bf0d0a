import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { OPTION_NAMES, variableOf } from "@ds4/options"
import { environmentDoc } from "./environment-doc.ts"
import { OTHER_VARIABLES } from "./other-variables.ts"
import { sourceFiles } from "./tidy/source-files.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const READS = [
  /\b(?:process\.env|environment)\.([A-Z][A-Z0-9_]+)/g,
  /\b(?:process\.env|environment)\["([A-Z][A-Z0-9_]+)"\]/g,
  /\bgetenv\("([A-Z][A-Z0-9_]+)"\)/g,
  /xdgFolder\(environment, "([A-Z_]+)"/g,
]

test("docs/environment.md is what the table of options says; bun run docs writes it", () => {
  expect(readFileSync(`${ROOT}/docs/environment.md`, "utf8")).toBe(environmentDoc())
})

test("every variable that the tree reads is declared, and every declared one is read", () => {
  const isProduct = (path: string) =>
    /^(?:packages\/[\w-]+\/(?:src|bin)|scripts|native)\//.test(path) &&
    !/\/testing\/|\.test\.ts$/.test(path) &&
    path !== "scripts/other-variables.ts"
  const sources = sourceFiles(ROOT).filter(
    ({ path }) => isProduct(path) && /\.(?:ts|cc|h|cu)$/.test(path),
  )
  const read = new Set(
    sources.flatMap(({ text }) =>
      READS.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? "")),
    ),
  )
  const shim = readFileSync(`${ROOT}/ds4`, "utf8")
  const flags = new Set(OPTION_NAMES.map(variableOf))
  const declared = new Set(OTHER_VARIABLES.map(({ name }) => name))
  expect([...read].filter((name) => !declared.has(name) && !flags.has(name))).toEqual([])
  expect(
    [...declared].filter((name) => !read.has(name) && !shim.includes(name) && name !== "PATH"),
  ).toEqual([])
})

test("a variable of the build or the environment is never also an option's", () => {
  const flags = new Set(OPTION_NAMES.map(variableOf))
  expect(OTHER_VARIABLES.filter(({ name }) => flags.has(name))).toEqual([])
})
