// The engine at the real size of Flash: files with every tensor of the release at its real shape
// and offset, sparse on disk. They are opened, checked and yield a token. Dense matrices may be
// packed; all other weights are mapped, never copied.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeSparseGguf, makeSparseSafetensors } from "../../scripts/make-sparse-flash.ts"

setDefaultTimeout(300_000)

/**
 * All the memory of the machine that this must run on, and what a process may hold of its own
 * beside packed dense matrices.
 */
const MEMORY_BYTES = 24 * 2 ** 30
const OWN_BYTES = 1.5 * 2 ** 30
const DISK_BYTES = 400e6

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ds4-real-size-"))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

interface Report {
  readonly layers: number
  readonly vocab: number
  readonly fileBytes: number
  readonly finite: boolean
  readonly distinct: number
  readonly logits: number
  readonly openMs: number
  readonly tokenMs: number
  readonly peakBytes: number
  readonly anonymousBytes: number
  readonly experts: string
  readonly packedDenseBytes: number
}

/** Packing that was asked for and cannot be: refused before anything is read. */
async function packedRefusal(path: string): Promise<string> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "one-token.ts"), path, "packed"],
    { stdout: "pipe", stderr: "pipe" },
  )
  const [text, code] = await Promise.all([new Response(child.stderr).text(), child.exited])
  expect(code).not.toBe(0)
  return text
}

async function oneToken(path: string): Promise<Report> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "one-token.ts"), path], {
    stdout: "pipe",
    stderr: "inherit",
  })
  const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited])
  expect(code).toBe(0)
  const report = JSON.parse(text) as Report
  const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(2)
  console.log(
    `${gib(report.fileBytes)} GiB of files: open ${(report.openMs / 1000).toFixed(1)} s, one ` +
      `token ${(report.tokenMs / 1000).toFixed(1)} s, peak ${gib(report.peakBytes)} GiB of which ` +
      `${gib(report.anonymousBytes)} GiB are not mapped files, ` +
      `${gib(report.packedDenseBytes)} GiB packed dense matrices`,
  )
  return report
}

function check(report: Report, fileBytes: number): void {
  expect(report).toMatchObject({ layers: 43, vocab: 129280, logits: 129280, finite: true })
  expect(report.distinct).toBeGreaterThan(1)
  expect(Math.abs(report.fileBytes - fileBytes) / fileBytes).toBeLessThan(0.01)
  expect(report.peakBytes).toBeLessThan(MEMORY_BYTES)
  expect(report.anonymousBytes - report.packedDenseBytes).toBeLessThan(OWN_BYTES)
  expect(report.experts).toMatch(
    /^from the mapped file \(routed experts do not fit in memory: experts take [\d.]+ GiB/,
  )
}

const onDisk = (path: string): number => statSync(path).blocks * 512

test("a GGUF of Flash's shape in the 2-bit recipe yields a token within 24 GiB", async () => {
  const path = join(folder, "flash.gguf")
  await makeSparseGguf(path)
  expect(onDisk(path)).toBeLessThan(DISK_BYTES)
  check(await oneToken(path), 86.7e9)
  // its pages are free for the next test: memory that is touched first costs a virtual machine most
  rmSync(path)
})

test("a safetensors folder of Flash's shape yields a token within 24 GiB", async () => {
  const path = join(folder, "flash")
  await makeSparseSafetensors(path)
  check(await oneToken(path), 159.6e9)
  const refusal = await packedRefusal(path)
  expect(refusal).toMatch(/routed experts do not fit in memory: experts take 137\.06 GiB and the/)
  expect(refusal).toMatch(/137\.06 GiB and the rest [\d.]+ GiB; [\d.]+ GiB are available/)
})
