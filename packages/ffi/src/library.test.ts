import { expect, test } from "bun:test"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { cString, findLibrary, LibraryError, openLibrary, readText, statusCheck } from "./index.ts"

const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    return error instanceof LibraryError ? error.code : "other"
  }
  return "none"
}

test("a missing library says where it was expected and how to build it", () => {
  const source = {
    override: { variable: "X_LIBRARY", value: undefined },
    path: "/nowhere/libx.so",
    build: "bun run build",
  }
  expect(() => findLibrary(source)).toThrow(
    "the native library /nowhere/libx.so does not exist: build it with `bun run build`, or name " +
      "one with X_LIBRARY",
  )
  expect(() =>
    findLibrary({ ...source, override: { variable: "X_LIBRARY", value: "/other.so" } }),
  ).toThrow("/other.so does not exist: X_LIBRARY names it")
})

test("a file that is not a library is refused with the loader's text", () => {
  const path = join(mkdtempSync(join(tmpdir(), "ds4-library-")), "libx.so")
  writeFileSync(path, "not a library")
  expect(codeOf(() => openLibrary(path, { symbol: "x_abi_version", expected: 1 }, {}))).toBe("LOAD")
})

const compiler = Bun.which("cc")
test.skipIf(compiler === null)(
  "another ABI version is refused before its other symbols are looked up (needs cc)",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "ds4-library-"))
    await Bun.write(
      join(folder, "x.c"),
      "unsigned x_abi_version(void) { return 3; }\nint x_add(int a, int b) { return a + b; }\n",
    )
    await Bun.$`${compiler ?? "cc"} -shared -fPIC x.c -o libx.so`.cwd(folder).quiet()
    const path = join(folder, "libx.so")
    const symbols = { x_add: { args: ["i32", "i32"], returns: "i32" } } as const
    expect(() =>
      openLibrary(
        path,
        { symbol: "x_abi_version", expected: 2 },
        { ...symbols, x_gone: { args: [], returns: "i32" } },
      ),
    ).toThrow(`${path} has ABI version 3, this program needs 2`)
    expect(
      openLibrary(path, { symbol: "x_abi_version", expected: 3 }, symbols).symbols.x_add(2, 40),
    ).toBe(42)
    expect(
      codeOf(() =>
        openLibrary(
          path,
          { symbol: "x_abi_version", expected: 3 },
          { x_gone: { args: [], returns: "i32" } },
        ),
      ),
    ).toBe("LOAD")
  },
)

test("a status becomes the owner's error with the library's text", () => {
  const check = statusCheck({
    lastError: () => "the disk is on fire",
    error: (status, message) => new RangeError(`${status}: ${message}`),
  })
  check("x_call", 0)
  expect(() => check("x_call", 8)).toThrow("8: the disk is on fire")
  const silent = statusCheck({ lastError: () => "", error: (_, message) => new Error(message) })
  expect(() => silent("x_call", 8)).toThrow("x_call failed with status 8")
})

test("text crosses in both directions, longer than the first buffer too", () => {
  expect(() => cString("a\0b")).toThrow("contains a NUL")
  expect([...cString("é")]).toEqual([0xc3, 0xa9, 0])
  const long = new TextEncoder().encode("x".repeat(10_000))
  const fill = (buffer: Uint8Array, capacity: number): bigint => {
    buffer.set(long.subarray(0, capacity - 1))
    return BigInt(long.length + 1)
  }
  expect(readText(fill)).toBe("x".repeat(10_000))
  expect(readText(() => 0)).toBe("")
})
