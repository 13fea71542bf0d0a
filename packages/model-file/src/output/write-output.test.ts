import { afterAll, expect, test } from "bun:test"
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openGrowingOutput } from "./growing-output.ts"
import { OutputError } from "./output-error.ts"
import { writeOutput, writeTextOutput, type WriteOptions } from "./write-output.ts"

const folder = mkdtempSync(join(tmpdir(), "ds4-output-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let next = 0
/** A folder of its own. */
const place = (): string => {
  const path = join(folder, String(next++))
  mkdirSync(path)
  return path
}

/** The two ways to write: whole files, and outputs that grow. */
const WAYS: readonly [
  string,
  (path: string, text: string, options?: WriteOptions) => Promise<void>,
][] = [
  ["whole", writeTextOutput],
  [
    "growing",
    async (path, text, options) => {
      await using output = await openGrowingOutput(path, options)
      await output.sink.write(new TextEncoder().encode(text))
    },
  ],
]

const codeOf = async (action: Promise<void>): Promise<string> =>
  await action.then(
    () => "written",
    (error: unknown) =>
      error instanceof OutputError
        ? `${error.code} ${error.message}`
        : `not ours: ${String(error)}`,
  )

function makeFifo(path: string): void {
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0)
}

for (const [name, write] of WAYS) {
  test(`${name}: a file that exists is replaced only if allowed, and keeps its mode`, async () => {
    const path = join(place(), "x")
    await write(path, "first")
    chmodSync(path, 0o666)
    expect(await codeOf(write(path, "second"))).toMatch(/^EXISTS .*--force/)
    expect(readFileSync(path, "utf8")).toBe("first")
    await write(path, "third", { overwrite: true })
    expect(readFileSync(path, "utf8")).toBe("third")
    expect(statSync(path).mode & 0o777).toBe(0o666)
  })

  test(`${name}: a symbolic link stays; the file behind it is written`, async () => {
    const at = place()
    mkdirSync(join(at, "data"))
    const [link, file] = [join(at, "link"), join(at, "data/file")]
    writeFileSync(file, "old")
    symlinkSync("data/file", link)
    expect(await codeOf(write(link, "new"))).toMatch(/^EXISTS/)
    expect(readFileSync(file, "utf8")).toBe("old")
    await write(link, "new", { overwrite: true })
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    expect(readFileSync(file, "utf8")).toBe("new")
    expect(readdirSync(join(at, "data"))).toEqual(["file"])
    symlinkSync("data", join(at, "folder")) // a folder on the way may be a link
    await write(join(at, "folder/other"), "other")
    expect(readFileSync(join(at, "data/other"), "utf8")).toBe("other")
  })

  test(`${name}: links to nothing, circles, folders and sockets are refused`, async () => {
    const at = place()
    symlinkSync("nothing", join(at, "dangling"))
    symlinkSync("circle", join(at, "circle"))
    symlinkSync(at, join(at, "to-folder"))
    mkdirSync(join(at, "folder"))
    using socket = Bun.listen({ unix: join(at, "socket"), socket: { data() {} } })
    expect(socket).toBeDefined()
    const before = readdirSync(at)
    for (const [path, text] of [
      ["dangling", /^KIND .*link to nothing/],
      ["circle", /^(IO|KIND) .*circle/],
      ["to-folder", /^KIND .*is a folder/],
      ["folder", /^KIND .*is a folder/],
      ["folder/", /^KIND .*not the name of a file/],
      ["socket", /^KIND .*is a socket/],
      ["no/such/folder/x", /^IO .*folder does not exist/],
      ["a\0b", /^KIND/],
    ] as const)
      expect(await codeOf(write(join(at, path), "x", { overwrite: true }))).toMatch(text)
    expect(await codeOf(write("", "x"))).toMatch(/^KIND/)
    expect(readdirSync(at)).toEqual(before)
    expect(existsSync(join(at, "nothing"))).toBe(false)
  })

  test(`${name}: a pipe gets the bytes and stays; without a reader it is an error`, async () => {
    const pipe = join(place(), "pipe")
    makeFifo(pipe)
    for (const overwrite of [false, true])
      expect(await codeOf(write(pipe, "x", { overwrite }))).toMatch(/^IO .*nothing reads/)
    const reader = Bun.spawn(["cat", pipe], { stdout: "pipe" })
    let outcome = ""
    for (let tries = 0; tries < 500 && outcome !== "written"; tries++) {
      outcome = await codeOf(write(pipe, "through the pipe"))
      if (outcome !== "written") await Bun.sleep(10)
    }
    expect(await reader.stdout.text()).toBe("through the pipe")
    expect(lstatSync(pipe).isFIFO()).toBe(true)
  })

  test(`${name}: devices get the bytes and stay; a full one is an error`, async () => {
    const at = place()
    symlinkSync("/dev/null", join(at, "link"))
    for (const path of ["/dev/null", join(at, "link")])
      expect(await codeOf(write(path, "x", { overwrite: true }))).toBe("written")
    expect(await codeOf(write("/dev/full", "x"))).toMatch(/^IO .*the disk is full/)
    for (const path of ["/dev/null", "/dev/full"])
      expect(lstatSync(path).isCharacterDevice()).toBe(true)
    expect(lstatSync(join(at, "link")).isSymbolicLink()).toBe(true)
  })
}

test("what is skipped goes to a pipe as zeros", async () => {
  const pipe = join(place(), "pipe")
  makeFifo(pipe)
  const reader = Bun.spawn(["cat", pipe], { stdout: "pipe" })
  const write = () =>
    writeOutput(pipe, 200_005, async (sink) => {
      await sink.write(new Uint8Array([1, 2]))
      await sink.skip(200_000)
      await sink.write(new Uint8Array([3, 4, 5]))
    })
  while ((await codeOf(write())) !== "written") await Bun.sleep(10)
  const bytes = await reader.stdout.bytes()
  expect([bytes.length, ...bytes.subarray(0, 3), ...bytes.subarray(-4)]).toEqual([
    200_005, 1, 2, 0, 0, 3, 4, 5,
  ])
})

test("a file that another program makes meanwhile is not replaced", async () => {
  const at = place()
  const path = join(at, "x")
  const write = writeOutput(path, 1, async (sink) => {
    await sink.write(new Uint8Array([1]))
    writeFileSync(path, "theirs")
  })
  expect(await codeOf(write)).toMatch(/^EXISTS .*meanwhile/)
  expect(readFileSync(path, "utf8")).toBe("theirs")
  expect(readdirSync(at)).toEqual(["x"])
})

test("a private file is private, and other names of a file keep its old bytes", async () => {
  const at = place()
  const [path, other] = [join(at, "x"), join(at, "y")]
  await writeTextOutput(path, "secret", { mode: 0o600 })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  linkSync(path, other)
  await writeTextOutput(path, "new", { overwrite: true })
  expect(readFileSync(other, "utf8")).toBe("secret")
})
