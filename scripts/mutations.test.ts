import { expect, test } from "bun:test"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { changedFiles } from "./mutations/changed-files.ts"
import { isNative, mutated, type Mutation } from "./mutations/mutation.ts"
import { MUTATIONS } from "./mutations/table.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const ROW: Mutation = { name: "n", file: "f", find: "one", replace: "two", tests: ["t"] }

/** A repository with a file for each commit, the last one first in no order. */
function repository(commits: number): { root: string; git: (...words: string[]) => void } {
  const root = mkdtempSync(join(tmpdir(), "ds4-changes-"))
  const git = (...words: string[]): void => {
    const who = ["-c", "user.name=n", "-c", "user.email=e"]
    const run = Bun.spawnSync(["git", "-C", root, ...who, ...words])
    if (run.exitCode !== 0) throw new Error(run.stderr.toString())
  }
  git("init", "-q", "-b", "main")
  for (let i = 0; i < commits; i++) {
    writeFileSync(join(root, `file${i}`), "")
    git("add", ".")
    git("commit", "-q", "-m", `commit ${i}`)
  }
  return { root, git }
}

test("a row replaces its text where it stands once, and fits no file where it does not", () => {
  expect(mutated(ROW, "a one b")).toBe("a two b")
  expect(() => mutated(ROW, "a b")).toThrow('f no longer has "one"')
  expect(() => mutated(ROW, "one one")).toThrow('f has "one" more than once')
  expect(() => mutated({ ...ROW, replace: "one" }, "one")).toThrow("changes nothing")
})

test.each(MUTATIONS.map((row) => [`${row.file}: ${row.name}`, row] as const))(
  "%s: the row fits its file, and its tests are there",
  async (_name, row) => {
    mutated(row, await Bun.file(join(ROOT, row.file)).text())
    expect(row.tests.length).toBeGreaterThan(0)
    if (!isNative(row))
      for (const each of row.tests) expect(await Bun.file(join(ROOT, each)).exists()).toBe(true)
  },
)

test("names of rows differ, and both languages have some", () => {
  expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length)
  expect(MUTATIONS.filter(isNative).length).toBeGreaterThan(15)
  expect(MUTATIONS.filter((row) => !isNative(row)).length).toBeGreaterThan(10)
})

test("on the default branch the last ten commits count, and what is not committed", () => {
  const { root } = repository(12)
  writeFileSync(join(root, "open file"), "")
  writeFileSync(join(root, "file0"), "changed")
  const changes = changedFiles(root)
  expect(changes.files).toContain("file2")
  expect(changes.files).not.toContain("file1")
  expect(changes.files).toContain("file0")
  expect(changes.files).toContain("open file")
  expect(changes).toMatchObject({ since: "10 commits ago" })
})

test("on a branch its own commits count, on a given commit those after it", () => {
  const { root, git } = repository(3)
  git("checkout", "-q", "-b", "topic")
  writeFileSync(join(root, "topic file"), "")
  git("add", ".")
  git("commit", "-q", "-m", "topic")
  expect(changedFiles(root)).toEqual({ files: ["topic file"], since: "main" })
  expect(changedFiles(root, "HEAD~2").files).toEqual(["file2", "topic file"])
  expect(changedFiles(root, "0123456")).toEqual({
    files: undefined,
    reason: "the clone has no commit 0123456",
  })
})

test("a clone of one commit and a folder without git know no change and say so", () => {
  const { root } = repository(3)
  const shallow = join(mkdtempSync(join(tmpdir(), "ds4-shallow-")), "clone")
  Bun.spawnSync(["git", "clone", "-q", "--depth", "1", `file://${root}`, shallow])
  expect(changedFiles(shallow)).toEqual({
    files: undefined,
    reason: "the clone has one commit, so no change is known",
  })
  expect(changedFiles(mkdtempSync(join(tmpdir(), "ds4-no-git-")))).toEqual({
    files: undefined,
    reason: "this is no git checkout, so no change is known",
  })
})
