// A native test program of seven tests, run whole, by name and in shards.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

setDefaultTimeout(60_000) // a compiler on a busy machine

const SOURCES = join(import.meta.dir, "../src")
const NAMES = ["one", "two", "three", "four", "five", "six", "seven"].map((word) => `test ${word}`)

let folder = ""
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "ds4-shards-"))
  const tests = NAMES.map((name) => `TEST("${name}") { CHECK(true); }`)
  await Bun.write(join(folder, "tests.cc"), ['#include "base/test.h"', ...tests, ""].join("\n"))
  const sources = [join(folder, "tests.cc"), join(SOURCES, "base/test_runner_test.cc")]
  const { exitCode, stderr } = Bun.spawnSync(
    ["c++", "-std=c++20", "-I", SOURCES, ...sources, "-o", join(folder, "tests")],
    { stdout: "ignore" },
  )
  if (exitCode !== 0) throw new Error(stderr.toString())
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(...flags: string[]): { names: string[]; status: number } {
  const { stdout, exitCode } = Bun.spawnSync([join(folder, "tests"), "--times", ...flags], {
    stderr: "ignore",
  })
  const names = [...stdout.toString().matchAll(/^(test \w+) \.\.\. /gm)].map(
    ([, name]) => name ?? "",
  )
  return { names, status: exitCode }
}

test("shards run every test once, and those that --only leaves", () => {
  expect(run()).toEqual({ names: NAMES, status: 0 })
  for (const count of [1, 2, 3, 7]) {
    const shards = Array.from({ length: count }, (_, i) => run("--shard", `${i + 1}/${count}`))
    expect(shards.every(({ status, names }) => status === 0 && names.length > 0)).toBe(true)
    expect(shards.flatMap(({ names }) => names).toSorted()).toEqual(NAMES.toSorted())
  }
  expect(run("--only", "e", "--shard", "2/2").names).toEqual(
    NAMES.filter((name) => name.includes("e")).filter((_, i) => i % 2 === 1),
  )
})

test("a shard without a test is told apart, and one that cannot be is refused", () => {
  expect(run("--shard", "8/8")).toEqual({ names: [], status: 3 })
  for (const shard of ["0/2", "3/2", "1", "1/2x", "-1/2", ""])
    expect(run("--shard", shard)).toEqual({ names: [], status: 2 })
})
