import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { byteTokenizer } from "@ds4/tokenizer/testing"
import { ToolReplay, type ReplayBlock } from "./replay.ts"
import { ReplayLog } from "./replay-log.ts"

const folder = mkdtempSync(join(tmpdir(), "ds4-replay-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const tokenizer = byteTokenizer()
const blockOf = (text: string): ReplayBlock => ({
  lead: "",
  text,
  tokens: tokenizer.encode(text),
  calls: [{ name: "run", arguments: '{"n": 1}' }],
})
const call = (id: string) => [{ id, name: "run", arguments: '{"n":1}' }]

async function replayOf(path: string, more: { maxBytes?: number; lines?: string[] } = {}) {
  const { lines, ...limits } = more
  const log = (line: string): void => void lines?.push(line)
  const file = await ReplayLog.open({ path, tokenizer, log, ...limits })
  return { replay: new ToolReplay({ log: file }), file }
}

test("calls of one process are replayed in the next, and the file is private", async () => {
  const path = join(folder, "a")
  const first = await replayOf(path)
  first.replay.remember(["call_1"], blockOf("<a>"))
  await first.file.flush()
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const second = await replayOf(path)
  const hit = second.replay.lookup(call("call_1"))
  expect(hit).toMatchObject({ origin: "disk", segments: [{ text: "<a>" }] })
  expect(second.replay.lookup(call("call_2"))).toBeUndefined()
  // Lines that came from the file are not written to it again.
  await second.file.flush()
  expect(readFileSync(path, "utf8").trim().split("\n")).toHaveLength(1)
})

test("torn, damaged and foreign lines are passed over, the others count", async () => {
  const path = join(folder, "b")
  const first = await replayOf(path)
  for (const id of ["one", "two", "three"]) first.replay.remember([id], blockOf(`<${id}>`))
  await first.file.flush()
  const lines = readFileSync(path, "utf8").split("\n")
  const hostile = ["", "x", "0".repeat(17), `${"0".repeat(16)} {}`, `${"0".repeat(16)} null`]
  const damaged = [lines[0], ...hostile, lines[1]?.replace("two", "twp"), lines[2]?.slice(0, 60)]
  writeFileSync(path, damaged.join("\n"))
  const { replay } = await replayOf(path)
  expect(replay.lookup(call("one"))?.origin).toBe("disk")
  for (const id of ["two", "three"]) expect(replay.lookup(call(id))).toBeUndefined()
})

test("lines that another vocabulary spelled are passed over", async () => {
  const path = join(folder, "c")
  const first = await replayOf(path)
  first.replay.remember(["call_1"], { ...blockOf("<a>"), tokens: tokenizer.encode("<b>") })
  await first.file.flush()
  expect((await replayOf(path)).replay.lookup(call("call_1"))).toBeUndefined()
})

test("a long file becomes the old one, so that both stay bounded", async () => {
  const path = join(folder, "d")
  for (const id of ["one", "two", "three"]) {
    const { replay, file } = await replayOf(path, { maxBytes: 10 })
    replay.remember([id], blockOf(`<${id}>`))
    await file.flush()
  }
  const { replay } = await replayOf(path)
  expect(replay.lookup(call("one"))).toBeUndefined()
  for (const id of ["two", "three"]) expect(replay.lookup(call(id))?.origin).toBe("disk")
})

test("a disk that fails is told once and costs nothing else", async () => {
  const lines: string[] = []
  const { replay, file } = await replayOf(join(folder, "missing", "e"), { lines })
  for (const id of ["one", "two"]) replay.remember([id], blockOf(`<${id}>`))
  await file.flush()
  expect(lines).toHaveLength(1)
  expect(replay.lookup(call("two"))?.origin).toBe("memory")
})
