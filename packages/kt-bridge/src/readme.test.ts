// The example of the README is run as it stands there.
import { expect, test } from "bun:test"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const ROOT = join(import.meta.dir, "../../..")
const MOST_LINES = 20

test("the example runs in the repository's root, on the demo model's experts", async () => {
  const readme = await Bun.file(join(import.meta.dir, "../README.md")).text()
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ""
  expect(example.trim().split("\n").length).toBeLessThanOrEqual(MOST_LINES)
  // beside the tests, so that the package's name resolves
  const path = join(import.meta.dir, `readme-${process.pid}.ts`)
  writeFileSync(path, example)
  try {
    const run = Bun.spawnSync([process.execPath, path], { cwd: ROOT })
    expect(run.stderr.toString()).toBe("")
    expect(run.exitCode).toBe(0)
    const text = run.stdout.toString()
    expect(text).toMatch(/(\d+) of \1 bytes/) // the last call of onProgress
    const values =
      /Float32Array\(4\) \[([^\]]*)\]/
        .exec(text)?.[1]
        ?.split(",")
        .filter((value) => value.trim() !== "")
        .map(Number) ?? []
    expect(values.length).toBe(4)
    expect(values.every((value) => Number.isFinite(value) && value !== 0)).toBe(true)
  } finally {
    rmSync(path)
  }
})
