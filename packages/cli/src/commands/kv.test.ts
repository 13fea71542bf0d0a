// `ds4 kv` over a folder that a store of some model wrote.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { KvStore } from "@ds4/kv-store"
import { SyntheticState, TEST_MODEL, tokenIds } from "@ds4/kv-store/testing"
import { ageText } from "../kv/kv-table.ts"
import { Workplace } from "../testing/run-program.ts"

setDefaultTimeout(30_000)

let work: Workplace
beforeEach(() => {
  work = new Workplace()
})
afterEach(() => work[Symbol.dispose]())

/** Where the server keeps states of a user whose home is the workplace. */
const DEFAULT_FOLDER = ".cache/ds4/kv"

interface Saved {
  readonly ids: Int32Array
  readonly label?: string
  readonly preview?: string
}

/** Saves states as a server would; their keys, in order. */
async function save(folder: string, states: readonly Saved[]): Promise<string[]> {
  await using store = await KvStore.open({
    folder: work.path(folder),
    compatibility: TEST_MODEL,
    budgetBytes: 1e9,
    minimumFreeBytes: 0,
  })
  const keys: string[] = []
  for (const { ids, ...more } of states) {
    const request = { shown: ids, reason: "turn", model: "Flash", ...more }
    const result = await store.save(new SyntheticState(ids), request)
    if (!result.saved) throw new Error(result.message)
    keys.push(result.key)
  }
  return keys
}

interface Listed {
  checkpoints: { key: string; tokens: number; created: string; label?: string }[]
}

const listed = async (): Promise<Listed> =>
  JSON.parse((await work.run(["kv", "ls", "--json"])).out) as Listed

test("ls tells what is kept, as a table and as JSON", async () => {
  const preview = `Why is\nthe \u001b[31msea ${"so ".repeat(40)}`
  const [key = ""] = await save(DEFAULT_FOLDER, [{ ids: tokenIds(3000, 1), label: "sea", preview }])
  const { code, out, err } = await work.run(["kv", "ls"])
  expect(code).toBe(0)
  const [head = "", row = ""] = out.split("\n")
  expect(head.split(/\s{2,}/)).toContain("tokens")
  for (const each of [key.slice(0, 12), "3,000", "now", "turn", "Flash", "sea", "Why is the"])
    expect(row).toContain(each)
  expect(row).not.toContain("\u001b")
  expect(err).toContain("1 checkpoint, ")
  const { checkpoints } = await listed()
  expect(checkpoints).toMatchObject([{ key, tokens: 3000, label: "sea", model: "Flash" }])
  expect(Date.parse(checkpoints[0]?.created ?? "")).toBeGreaterThan(Date.now() - 60_000)
})

test("rm takes keys, their first characters and labels; a mistake removes nothing", async () => {
  const [first = "", second = ""] = await save(DEFAULT_FOLDER, [
    { ids: tokenIds(100, 1) },
    { ids: tokenIds(100, 2) },
    { ids: tokenIds(100, 3), label: "notes" },
  ])
  const wrong = await work.run(["kv", "rm", first, "absent"])
  expect([wrong.code, wrong.out]).toEqual([1, ""])
  expect(wrong.err).toContain('there is no checkpoint "absent"')
  expect((await work.run(["kv", "rm", first.slice(0, 5)])).code).toBe(1)
  expect((await listed()).checkpoints).toHaveLength(3)
  const { code, out } = await work.run(["kv", "rm", first.slice(0, 8), "notes", first])
  expect([code, out]).toEqual([0, expect.stringContaining("removed 2 checkpoints, ")])
  expect((await listed()).checkpoints.map(({ key }) => key)).toEqual([second])
  expect((await work.run(["kv", "rm"])).code).toBe(2)
})

test("verify reads every file; a damaged one fails it and is moved away", async () => {
  await save("kv", [{ ids: tokenIds(2500, 1) }, { ids: tokenIds(100, 2) }])
  const at = ["--kv-disk-dir", work.path("kv")]
  const sound = await work.run(["kv", "verify", ...at])
  expect([sound.code, sound.out]).toEqual([0, expect.stringMatching(/^3 files in order, /)])
  const [name = ""] = readdirSync(work.path("kv/segments"))
  const path = work.path(`kv/segments/${name}`)
  const bytes = readFileSync(path)
  const middle = Math.floor(bytes.length / 2)
  bytes[middle] = (bytes[middle] ?? 0) ^ 1
  writeFileSync(path, bytes)
  const damaged = await work.run(["kv", "verify", "--json", ...at])
  expect(damaged.code).toBe(1)
  expect(JSON.parse(damaged.out)).toMatchObject({
    ok: false,
    damaged: [{ file: `segments/${name}` }],
  })
  expect(existsSync(path)).toBe(false)
})

test("gc removes what nothing needs, and keeps a limit where one is given", async () => {
  const keys = await save("kv", [
    { ids: tokenIds(2500, 1), label: "kept" },
    { ids: tokenIds(2500, 2) },
    { ids: tokenIds(2500, 3) },
  ])
  const at = ["--kv-disk-dir", work.path("kv")]
  rmSync(work.path(`kv/checkpoints/${keys[2] ?? ""}.ckpt`)) // as an interrupted save leaves it
  expect((await work.run(["kv", "gc", ...at])).out).toMatch(/^freed .*; 1 file had no use; /)
  const emptied = await work.run(["kv", "gc", "--json", "--kv-disk-space-mb", "0", ...at])
  expect(emptied.code).toBe(0)
  const { out } = await work.run(["kv", "ls", "--json", ...at])
  expect((JSON.parse(out) as Listed).checkpoints).toMatchObject([{ label: "kept" }])
})

test("a folder that is not there stays so, and one with other files is refused", async () => {
  for (const word of ["ls", "verify", "gc"]) expect((await work.run(["kv", word])).code).toBe(0)
  expect(work.files()).toEqual([])
  mkdirSync(work.path("mine"), { mode: 0o700 })
  writeFileSync(work.path("mine/letter"), "")
  const refused = await work.run(["kv", "ls", "--kv-disk-dir", work.path("mine")])
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("no saved states")])
  expect(work.files()).toEqual(["mine/letter"])
  expect((await work.run(["kv", "ls", "--kv-disk-dir", "none"])).code).toBe(2)
  expect((await work.run(["kv", "list"])).err).toContain("say ls, rm, verify or gc")
})

test("ages are told in the largest unit that they reach", () => {
  const seconds = [3, 90, 7200, 86_400, 200_000]
  expect(seconds.map((each) => ageText(each * 1000))).toEqual([
    "now",
    "1 min",
    "2 h",
    "1 day",
    "2 days",
  ])
})
