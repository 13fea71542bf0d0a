import { afterAll } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A fresh path below the temporary folder; what lies there goes after the tests of the file. */
export function temporaryFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), "ds4-kv-store-"))
  afterAll(() => rmSync(parent, { recursive: true, force: true }))
  return join(parent, "store")
}
