// Long waits tell how far they are. The model has one layer of Flash's shape; its weights are holes
// in the file, which take their time all the same.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { firstLayers, makeSparseGguf } from "../../scripts/make-sparse-flash.ts"

setDefaultTimeout(60_000) // the machine may be busy

const ROOT = join(import.meta.dir, "../..")
/** Start of the program, opening of the model and a busy disk included. */
const FIRST_MS = 10_000

let folder = ""
let model = ""
let environment: Record<string, string> = {}
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "ds4-progress-"))
  model = join(folder, "flash.gguf")
  await makeSparseGguf(model, firstLayers(1))
  environment = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    TERM: "xterm",
    DS4_LIBRARY: join(ROOT, "native/dist/libds4.so"),
    BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Seen {
  readonly text: string
  /** From the start of the program. */
  readonly ms: number
}

/** Runs a command until its stderr matches, then ends it. */
async function until(pattern: RegExp, args: readonly string[], isTerminal: boolean): Promise<Seen> {
  const command = [process.execPath, join(ROOT, "packages/cli/bin/ds4.ts"), ...args]
  const startMs = performance.now()
  const found = Promise.withResolvers<Seen>()
  const decoder = new TextDecoder()
  let text = ""
  const see = (bytes: Uint8Array): void => {
    text += decoder.decode(bytes, { stream: true })
    if (pattern.test(text)) found.resolve({ text, ms: performance.now() - startMs })
  }
  const terminal = isTerminal
    ? new Bun.Terminal({ cols: 100, rows: 24, data: (_, bytes) => see(bytes) })
    : undefined
  const child = Bun.spawn(command, {
    cwd: folder,
    env: environment,
    ...(terminal === undefined
      ? { stdin: "ignore", stdout: "pipe", stderr: "pipe" }
      : { terminal }),
  })
  const { stderr } = child
  if (stderr instanceof ReadableStream)
    void (async () => {
      for await (const bytes of stderr) see(bytes)
    })()
  void child.exited.then(() => Bun.sleep(50)).then(() => found.resolve({ text, ms: Infinity }))
  try {
    return await found.promise
  } finally {
    child.kill("SIGKILL")
    await child.exited
    terminal?.close()
  }
}

const RATE = /\d+(?:\.\d+)? of \d+\.\d GB \(\d+ %\), [\d.]+ [GM]B\/s, \d+:\d\d left/

describe.each([
  ["a terminal", true],
  ["a pipe", false],
] as const)("in %s", (_, isTerminal) => {
  test.each([
    ["verify", "checking values: ", () => ["verify", model]],
    [
      "quantize",
      "writing: ",
      () => ["quantize", model, join(folder, "new.gguf"), "--force", "--experts", "Q8_0"],
    ],
    ["packing", "packing weights: ", () => ["run", "-m", model, "hello", "-n", "1"]],
    ["serve", "packing weights: ", () => ["serve", "-m", model, "--port", "0"]],
  ] as const)("%s tells its bytes, rate and time left", async (_name, label, args) => {
    const first = await until(new RegExp(label), args(), isTerminal)
    expect(first.ms).toBeLessThan(FIRST_MS)
    // a pipe's second line comes five seconds later
    const { text } = await until(new RegExp(label + RATE.source), args(), isTerminal)
    expect(text).toMatch(RATE)
    expect(text.includes("\x1b")).toBe(isTerminal)
  })

  test("a prompt is read with a rate, and bench and logits tell what they measure", async () => {
    const tiny = join(ROOT, "models/tiny")
    const prompt = "word ".repeat(1200)
    const args = ["run", "-m", tiny, prompt, "-n", "1", "--prefill-chunk", "8", "-t", "1"]
    const { text } = await until(/reading \d+\/\d+ \(\d+ %\)/, args, isTerminal)
    expect(text).toMatch(/reading \d+\/\d+ \(\d+ %\)/)
    const bench = await until(/warming up/, ["bench", "-m", tiny], isTerminal)
    expect(bench.ms).toBeLessThan(FIRST_MS)
  })
})

test("-q keeps every wait silent", async () => {
  const child = Bun.spawn(
    [process.execPath, join(ROOT, "packages/cli/bin/ds4.ts"), "verify", model, "-q"],
    { cwd: folder, env: environment, stdout: "ignore", stderr: "pipe" },
  )
  setTimeout(() => child.kill("SIGKILL"), 3000)
  expect(await child.stderr.text()).toBe("")
})
