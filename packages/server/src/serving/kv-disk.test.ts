import { expect, test } from "bun:test"
import { tmpdir } from "node:os"
import { defaultOptions } from "@ds4/options"
import { kvDiskOptions } from "./kv-disk.ts"

const defaults = defaultOptions("serve")
const quiet = (): void => {}

test("states are kept in the user's cache folder, but for the embedded model", () => {
  const environment = { XDG_CACHE_HOME: "/caches" }
  expect(kvDiskOptions(defaults, quiet, environment)).toBeUndefined()
  expect(kvDiskOptions({ ...defaults, model: "demo" }, quiet, environment)).toBeUndefined()
  const served = kvDiskOptions({ ...defaults, model: "/m.gguf" }, quiet, environment)
  expect(served).toMatchObject({ folder: "/caches/ds4/kv", isOptional: true })
  expect(served?.budgetBytes).toBeGreaterThan(0)
  expect(served?.budgetBytes).toBeLessThanOrEqual(64 * 2 ** 30)
})

test("a folder and its size are taken as they are given, and none is none", () => {
  const given = { ...defaults, "kv-disk-dir": `${tmpdir()}/x/y`, "kv-disk-space-mb": 3 }
  expect(kvDiskOptions(given, quiet)).toMatchObject({
    folder: `${tmpdir()}/x/y`,
    budgetBytes: 3 * 2 ** 20,
    isOptional: false,
  })
  expect(
    kvDiskOptions({ ...defaults, model: "/m.gguf", "kv-disk-dir": "none" }, quiet),
  ).toBeUndefined()
})
