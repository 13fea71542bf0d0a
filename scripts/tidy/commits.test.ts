import { expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { checkCommits, checkSubjects } from "./commits.ts"

test("a subject of 71 characters passes, one of 72 does not", () => {
  const subject = `area: ${"x".repeat(65)}`
  expect(checkSubjects(`abc1234\t${subject}\n`)).toEqual([])
  expect(checkSubjects(`abc1234\t${subject}x\n`)).toMatchObject([
    { check: "commit-subject", path: "commit abc1234" },
  ])
})

test.skipIf(Bun.which("git") === null)("commits after a base are read (needs git)", () => {
  const root = mkdtempSync(join(tmpdir(), "ds4-commits-"))
  const git = (...words: string[]) => {
    const author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    const run = Bun.spawnSync(["git", ...author, ...words], { cwd: root })
    expect(run.exitCode).toBe(0)
    return run.stdout.toString().trim()
  }
  const commit = (subject: string) => git("commit", "-q", "--allow-empty", "-m", subject)
  try {
    git("init", "-q")
    commit(`old: ${"x".repeat(80)}`)
    const base = git("rev-parse", "HEAD")
    commit("new: short")
    expect(checkCommits(root, base)).toEqual([])
    commit(`new: ${"x".repeat(80)}`)
    expect(checkCommits(root, base)).toHaveLength(1)
    expect(checkCommits(root, "0123456789")).toMatchObject([{ path: "tidy.config.json" }])
    expect(checkCommits(tmpdir(), base)).toEqual([])
  } finally {
    rmSync(root, { recursive: true })
  }
})
