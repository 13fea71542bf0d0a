import { afterEach, describe, expect, test } from "bun:test"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { decodeResponseFile, encodeResponseFile } from "./response-file.ts"
import { ResponseFolder } from "./response-folder.ts"
import { ResponseStore, type StoredResponseLimits } from "./response-store.ts"
import { type StoredResponse, sizeOf } from "./stored-response.ts"

const WIDE = { count: 1000, bytes: 2 ** 26 }

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ds4-responses-"))
  folders.push(folder)
  return folder
}

/** Files of other responses. */
const idOf = (number: number): string => `resp_${number.toString(16).padStart(32, "0")}`

function response(number: number, previous?: number, bytes = 100): StoredResponse {
  return {
    id: idOf(number),
    previous: previous === undefined ? undefined : idOf(previous),
    owner: "me",
    itemIds: [`msg_${number}`],
    items: Buffer.from(`{"number":${number}}`.padEnd(bytes)),
    response: Buffer.from(`{"id":"${idOf(number)}"}`),
  }
}

interface Opened {
  store: ResponseStore
  notes: string[]
}

function open(limits: StoredResponseLimits = WIDE, folder?: string): Opened {
  const notes: string[] = []
  const note = (line: string) => void notes.push(line)
  const place = folder === undefined ? undefined : new ResponseFolder(folder, note)
  return { store: new ResponseStore(limits, place), notes }
}

/** Saves a chain of responses with these numbers. */
async function saveChain(store: ResponseStore, numbers: readonly number[]): Promise<void> {
  for (const [index, number] of numbers.entries()) {
    const previous = numbers[index - 1]
    const before = previous === undefined ? [] : await store.chain(idOf(previous), "me")
    await store.save(response(number, previous), before ?? [])
  }
}

/** Which of these can be asked for. */
async function present(store: ResponseStore, numbers: readonly number[]): Promise<number[]> {
  const found: number[] = []
  for (const number of numbers) if (await store.find(idOf(number), "me")) found.push(number)
  return found
}

const chainNumbers = async (store: ResponseStore, number: number) =>
  (await store.chain(idOf(number), "me"))?.map(({ id }) => Number.parseInt(id.slice(5), 16))

const filesOf = (folder: string) => readdirSync(folder).toSorted()
const fileOf = (number: number) => `${idOf(number)}.response`

describe("limits", () => {
  test("the least recently used goes first, by count", async () => {
    const { store } = open({ ...WIDE, count: 3 })
    for (const number of [1, 2, 3]) await store.save(response(number), [])
    await store.find(idOf(1), "me")
    await store.save(response(4), [])
    expect(await present(store, [1, 2, 3, 4])).toEqual([1, 3, 4])
  })

  test("and by bytes; one that is used keeps all before it", async () => {
    const size = sizeOf(response(1, undefined, 1000))
    const { store } = open({ ...WIDE, bytes: 4 * size })
    const big = (number: number, previous?: number) => response(number, previous, 1000)
    await store.save(big(1), [])
    await store.save(big(2, 1), [big(1)])
    for (const number of [3, 4]) await store.save(big(number), [])
    await store.find(idOf(2), "me")
    await store.save(big(5), [])
    expect(await present(store, [1, 2, 3, 4, 5])).toEqual([1, 2, 4, 5])
  })

  test("a chain that is beyond the limit of bytes goes as a whole", async () => {
    const size = sizeOf(response(1, undefined, 1000))
    const { store } = open({ ...WIDE, bytes: 2 * size })
    const big = (number: number, previous?: number) => response(number, previous, 1000)
    await store.save(big(1), [])
    await store.save(big(2, 1), [big(1)])
    await store.save(big(3, 2), [big(1), big(2, 1)])
    expect(await present(store, [1, 2, 3])).toEqual([])
    await store.save(big(4), [])
    expect(await present(store, [4])).toEqual([4])
  })

  test("a chain of any length can be continued, however few can be asked for", async () => {
    const { store } = open({ ...WIDE, count: 2 })
    const numbers = Array.from({ length: 50 }, (_, index) => index + 1)
    await saveChain(store, numbers)
    expect(await present(store, numbers)).toEqual([49, 50])
    expect(await chainNumbers(store, 50)).toEqual(numbers)
  })
})

describe("deletion", () => {
  test("in the middle leaves the items to those after it, until the last", async () => {
    const folder = temporaryFolder()
    const { store } = open(WIDE, folder)
    await saveChain(store, [1, 2, 3])
    expect(await store.remove(idOf(2), "me")).toBe(true)
    expect(await store.remove(idOf(2), "me")).toBe(false)
    expect(await present(store, [1, 2, 3])).toEqual([1, 3])
    expect(await chainNumbers(store, 3)).toEqual([1, 2, 3])
    expect(decodeResponseFile(readFileSync(join(folder, fileOf(2)))).response).toBeUndefined()
    await store.remove(idOf(1), "me")
    expect(filesOf(folder)).toEqual([1, 2, 3].map(fileOf))
    await store.remove(idOf(3), "me")
    expect(filesOf(folder)).toEqual([])
  })

  test("of an object whose items stay makes room for its bytes", async () => {
    const object = Buffer.from("{}".padEnd(10_000))
    const big = (number: number, previous?: number) => ({
      ...response(number, previous),
      response: object,
    })
    const size = sizeOf(big(1))
    const { store } = open({ ...WIDE, bytes: 2 * size + sizeOf(response(1)) })
    await store.save(big(1), [])
    await store.save(big(2, 1), [big(1)])
    await store.remove(idOf(1), "me")
    await store.save(big(3), [])
    expect(await present(store, [1, 2, 3])).toEqual([2, 3])
  })

  test("of one that a running response continues: its items come back", async () => {
    const folder = temporaryFolder()
    const { store } = open(WIDE, folder)
    await saveChain(store, [1, 2])
    const before = (await store.chain(idOf(2), "me")) ?? []
    await store.remove(idOf(2), "me")
    await store.remove(idOf(1), "me")
    await store.save(response(3, 2), before)
    expect(await present(store, [1, 2, 3])).toEqual([3])
    expect(await chainNumbers(open(WIDE, folder).store, 3)).toEqual([1, 2, 3])
  })

  test("a foreign owner can neither find nor delete", async () => {
    const { store } = open()
    await store.save(response(1), [])
    expect(await store.find(idOf(1), "you")).toBeUndefined()
    expect(await store.chain(idOf(1), "you")).toBeUndefined()
    expect(await store.holderOf("msg_1", "you")).toBeUndefined()
    expect(await store.remove(idOf(1), "you")).toBe(false)
    expect((await store.holderOf("msg_1", "me"))?.id).toBe(idOf(1))
  })
})

describe("a folder", () => {
  test("gives everything back after a restart, in the order of use", async () => {
    const folder = temporaryFolder()
    const { store } = open(WIDE, folder)
    await saveChain(store, [1, 2])
    for (const number of [3, 4]) await store.save(response(number), [])
    for (const [number, seconds] of [
      [1, 10],
      [2, 40],
      [3, 20],
      [4, 30],
    ] as const)
      utimesSync(join(folder, fileOf(number)), seconds, seconds)
    const after = open({ ...WIDE, count: 3 }, folder)
    expect(await present(after.store, [1, 2, 3, 4])).toEqual([1, 2, 4])
    await after.store.idle()
    expect(filesOf(folder)).toEqual([1, 2, 4].map(fileOf))
    const found = await after.store.find(idOf(2), "me")
    expect(Buffer.from(found?.items ?? [])).toEqual(Buffer.from(response(2, 1).items))
    expect(after.notes).toEqual([])
  })

  test("each byte of a file counts, and so does its length", () => {
    const bytes = encodeResponseFile(response(1))
    expect(decodeResponseFile(bytes)).toEqual(response(1))
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Uint8Array.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ 1
      expect(() => decodeResponseFile(flipped)).toThrow("it")
      expect(() => decodeResponseFile(bytes.subarray(0, at))).toThrow("it")
    }
    expect(() => decodeResponseFile(Buffer.concat([bytes, bytes]))).toThrow("checksum")
  })

  test("files that are torn, hostile or foreign are left out with one line", async () => {
    const folder = temporaryFolder()
    const { store } = open(WIDE, folder)
    for (const number of [1, 2, 3, 4, 5]) await store.save(response(number), [])
    await store.idle()
    const at = (name: string) => join(folder, name)
    const whole = readFileSync(at(fileOf(2)))
    writeFileSync(at(fileOf(2)), whole.subarray(0, 150))
    writeFileSync(at(fileOf(3)), "")
    renameSync(at(fileOf(4)), at(fileOf(7)))
    const elsewhere = join(temporaryFolder(), "other")
    renameSync(at(fileOf(5)), elsewhere)
    symlinkSync(elsewhere, at(fileOf(5)))
    mkdirSync(at(fileOf(8)))
    writeFileSync(at("notes.txt"), "mine")
    // Three that continue each other in a circle: their checksums are right.
    for (const [number, previous] of [
      [10, 11],
      [11, 12],
      [12, 10],
    ] as const)
      writeFileSync(at(fileOf(number)), encodeResponseFile(response(number, previous)))
    const after = open(WIDE, folder)
    expect(await present(after.store, [1, 2, 3, 4, 5, 7, 8, 10, 11, 12])).toEqual([1])
    expect(after.notes[0]).toMatch(/^6 files are left out of the stored responses in .*: /)
    expect(existsSync(at("notes.txt"))).toBe(true)
  })

  test("a response whose beginning is lost can be asked for and not continued", async () => {
    const folder = temporaryFolder()
    await saveChain(open(WIDE, folder).store, [1, 2])
    rmSync(join(folder, fileOf(1)))
    const { store } = open(WIDE, folder)
    expect(await present(store, [2])).toEqual([2])
    expect(await store.chain(idOf(2), "me")).toBeUndefined()
  })

  test("what another server writes into it is found when it is asked for", async () => {
    const folder = temporaryFolder()
    const [one, two] = [open(WIDE, folder), open(WIDE, folder)]
    expect(await present(two.store, [1, 2])).toEqual([])
    await saveChain(one.store, [1, 2])
    expect(await chainNumbers(two.store, 2)).toEqual([1, 2])
    expect(await two.store.find("resp_../../etc/passwd", "me")).toBeUndefined()
  })

  test("much more than the limit is not read, and the oldest files go", async () => {
    const folder = temporaryFolder()
    const { store } = open(WIDE, folder)
    for (let number = 1; number <= 9; number++) {
      await store.save(response(number, undefined, 10_000), [])
      utimesSync(join(folder, fileOf(number)), number, number)
    }
    const after = open({ ...WIDE, bytes: 2.5 * sizeOf(response(1, undefined, 10_000)) }, folder)
    expect(await present(after.store, [1, 2, 3, 4, 5, 6, 7, 8, 9])).toEqual([8, 9])
    await after.store.idle()
    expect(filesOf(folder)).toEqual([8, 9].map(fileOf))
  })

  test("temporary files that nobody writes any more are removed", async () => {
    const folder = temporaryFolder()
    for (const name of ["old.tmp", "new.tmp"]) writeFileSync(join(folder, name), "half")
    utimesSync(join(folder, "old.tmp"), 1, 1)
    await present(open(WIDE, folder).store, [1])
    expect(filesOf(folder)).toEqual(["new.tmp"])
  })

  test("a folder that is none costs the files alone; lines of the log tell it", async () => {
    const parent = temporaryFolder()
    writeFileSync(join(parent, "file"), "")
    const { store, notes } = open(WIDE, join(parent, "file"))
    for (const number of [1, 2]) await store.save(response(number), [])
    expect(await present(store, [1, 2])).toEqual([1, 2])
    expect(notes).toEqual([
      expect.stringMatching(/^stored responses cannot be read in /),
      expect.stringMatching(/^a stored response cannot be written in /),
    ])
  })
})
