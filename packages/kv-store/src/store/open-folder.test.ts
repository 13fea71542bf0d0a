import { expect, test } from "bun:test"
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { codeOf, openTestStore } from "../testing/open-test-store.ts"
import { temporaryFolder } from "../testing/temporary-folder.ts"

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

test("an empty folder that others may enter is mended, with a warning", async () => {
  const folder = temporaryFolder()
  mkdirSync(folder)
  chmodSync(folder, 0o755)
  const lines: string[] = []
  await (await openTestStore(folder, { log: (line) => void lines.push(line) })).close()
  expect(modeOf(folder)).toBe("700")
  expect(lines).toEqual([`kv store: others could enter ${folder} (mode 755); it has mode 700 now`])
})

test("a store that others may enter is mended too", async () => {
  const folder = temporaryFolder()
  await (await openTestStore(folder)).close()
  chmodSync(folder, 0o770)
  await (await openTestStore(folder)).close()
  expect(modeOf(folder)).toBe("700")
})

test("a folder of other files keeps its mode, and is refused", async () => {
  const folder = temporaryFolder()
  mkdirSync(folder)
  writeFileSync(join(folder, "lock"), "")
  chmodSync(folder, 0o755)
  expect(await codeOf(openTestStore(folder))).toBe("FOLDER")
  expect(modeOf(folder)).toBe("755")
  chmodSync(folder, 0o700)
  expect(await codeOf(openTestStore(folder))).toBe("none")
})

test("a path that is a file is refused by name", async () => {
  const folder = temporaryFolder()
  writeFileSync(folder, "")
  expect(openTestStore(folder)).rejects.toThrow(folder)
})
