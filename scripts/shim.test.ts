import { afterAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const SHIM = fileURLToPath(new URL("../ds4", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "ds4-shim-"))
afterAll(() => rmSync(folder, { recursive: true }))

const version = (path: string, cwd = folder) => {
  const run = Bun.spawnSync([path, "version"], { cwd, stdio: ["ignore", "pipe", "pipe"] })
  return { status: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() }
}

test("./ds4 works through symbolic links: absolute, relative, chained, and folders", () => {
  mkdirSync(join(folder, "bin"))
  symlinkSync(SHIM, join(folder, "absolute"))
  symlinkSync("../absolute", join(folder, "bin/chained"))
  symlinkSync("bin", join(folder, "programs"))
  const expected = version(SHIM)
  expect(expected.status).toBe(0)
  for (const path of ["absolute", "bin/chained", "programs/chained"])
    expect(version(join(folder, path))).toEqual(expected)
  expect(version("./chained", join(folder, "bin"))).toEqual(expected)
})
