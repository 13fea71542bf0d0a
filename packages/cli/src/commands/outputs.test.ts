// Every command that writes a file, against everything that may stand at its name.
import { afterAll, describe, expect, test } from "bun:test"
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { ChatServer } from "../testing/chat-server.ts"
import { chatScript } from "../testing/chat-script.ts"
import { TINY_MODEL, Workplace } from "../testing/run-program.ts"

const server = new ChatServer((request) => chatScript(request.messages.at(-1)?.content ?? ""))
afterAll(() => server[Symbol.dispose]())

/** Command lines that write to the name at their end. */
const WRITERS: Readonly<Record<string, readonly string[]>> = {
  quantize: ["quantize", TINY_MODEL],
  "bench --csv": `bench -m ${TINY_MODEL} --prompt-tokens 4 --gen-tokens 2 --repeats 1 --csv`.split(
    " ",
  ),
  "logits --raw": `logits -m ${TINY_MODEL} --ids ids.json --raw`.split(" "),
  "logits --dump": `logits -m ${TINY_MODEL} --ids ids.json --dump`.split(" "),
  "run --batch": ["run", "--url", server.url, "--batch", "questions.jsonl", "-o"],
}

function workplace(): Workplace {
  const work = new Workplace()
  writeFileSync(work.path("ids.json"), "[0, 5, 9]")
  writeFileSync(work.path("questions.jsonl"), '{"prompt": "hello"}\n')
  mkdirSync(work.path("folder"))
  writeFileSync(work.path("file"), "old")
  symlinkSync("file", work.path("link"))
  symlinkSync("nothing", work.path("dangling"))
  symlinkSync("/dev/null", work.path("null"))
  Bun.spawnSync(["mkfifo", work.path("pipe")])
  return work
}

describe.each(Object.entries(WRITERS))("%s", (_, writer) => {
  test("refuses what it must not replace, before it reads a model", async () => {
    using work = workplace()
    const before = readdirSync(work.folder)
    for (const [path, code, words] of [
      ["file", 2, "--force"],
      ["link", 2, "--force"],
      ["folder", 2, "is a folder"],
      ["dangling", 2, "link to nothing"],
      ["nowhere/file", 1, "folder does not exist"],
    ] as const) {
      const { code: got, err } = await work.run([...writer, path])
      expect([path, got, err]).toEqual([path, code, expect.stringContaining(words)])
    }
    for (const path of ["folder", "dangling", "pipe"]) {
      const { code, err } = await work.run([...writer, path, "--force"])
      expect([path, code]).toEqual([path, path === "pipe" ? 1 : 2])
      expect(err).toContain(path)
    }
    expect(readdirSync(work.folder)).toEqual(before)
    expect(readFileSync(work.path("file"), "utf8")).toBe("old")
    expect(lstatSync(work.path("pipe")).isFIFO()).toBe(true)
  }, 240_000)

  test("writes through links and into devices, which stay", async () => {
    using work = workplace()
    const linked = await work.run([...writer, "link", "--force"])
    expect([linked.code, linked.err]).toEqual([0, linked.err])
    expect(lstatSync(work.path("link")).isSymbolicLink()).toBe(true)
    const written = readFileSync(work.path("file"))
    expect(written.length).toBeGreaterThan(3)
    expect((await work.run([...writer, "null", "--force"])).code).toBe(0)
    expect(lstatSync(work.path("null")).isSymbolicLink()).toBe(true)
    expect(lstatSync("/dev/null").isCharacterDevice()).toBe(true)
    const full = await work.run([...writer, "/dev/full"])
    expect([full.code, full.err]).toEqual([1, expect.stringContaining("full")])

    const piped = await work.run([...writer, "-"])
    expect(piped.code).toBe(0)
    expect(Buffer.byteLength(piped.out)).toBeGreaterThan(20)
    expect(work.files()).toEqual(["file", "ids.json", "questions.jsonl"])
  }, 240_000)
})

test("a GGUF file on standard output is the same file, and the report is beside it", async () => {
  using work = new Workplace()
  await work.run(["quantize", TINY_MODEL, "a.gguf"])
  const { code, err } = await work.run(["quantize", TINY_MODEL, "-"], {
    outputFile: work.path("b.gguf"),
  })
  expect([code, err]).toEqual([0, expect.stringContaining("tensors")])
  expect(Buffer.compare(readFileSync(work.path("a.gguf")), readFileSync(work.path("b.gguf")))).toBe(
    0,
  )
}, 240_000)
