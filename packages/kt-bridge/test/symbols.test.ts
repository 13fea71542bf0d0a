import { expect, test } from "bun:test"
import { KT_BRIDGE_HEADER_PATH, KT_BRIDGE_LIBRARY_PATH } from "@ds4/native"
import { parseCEnums, parseCFunctions, tableRows } from "@ds4/ffi/testing"
import { ABI_VERSION, EXTENSION_SYMBOLS, KTB, PUBLISHED_SYMBOLS } from "../src/symbols.ts"

const header = await Bun.file(KT_BRIDGE_HEADER_PATH).text()
const types = { ktb_engine_t: "ptr", ktb_safetensor_t: "ptr", ktb_moe_t: "ptr", ktb_io_type_t: "i32", ktb_method_t: "i32" }

test("the tables are the header, function for function and in its order", () => {
  const functions = parseCFunctions(header, { exportMacro: "KTB_API", types })
  const table = tableRows({ ...PUBLISHED_SYMBOLS, ...EXTENSION_SYMBOLS })
  expect(table).toEqual(functions)
  expect(Object.keys(table)).toEqual(Object.keys(functions))
})

test("the two parts of the header are the two tables", () => {
  const [published = "", extension = ""] = header.split("---- part 2")
  const names = (text: string) => Object.keys(parseCFunctions(text, { exportMacro: "KTB_API", types }))
  expect(names(published)).toEqual(Object.keys(PUBLISHED_SYMBOLS))
  expect(names(extension)).toEqual(Object.keys(EXTENSION_SYMBOLS))
})

test("constants are those of the header", () => {
  expect(parseCEnums(header)).toMatchObject(KTB)
  expect(header).toContain(`#define KTB_ABI_VERSION 0x${ABI_VERSION.toString(16).padStart(8, "0")}u`)
})

test.skipIf(Bun.which("cc") === null)("the header is C99 (needs a C compiler)", () => {
  const run = Bun.spawnSync(["cc", "-std=c99", "-pedantic", "-Wall", "-Werror", "-fsyntax-only", "-x", "c", KT_BRIDGE_HEADER_PATH])
  expect(run.stderr.toString()).toBe("")
  expect(run.exitCode).toBe(0)
})

test.skipIf(Bun.which("nm") === null)("the library exports the header's functions and nothing else (needs nm)", () => {
  const lines = Bun.spawnSync(["nm", "-D", "--defined-only", KT_BRIDGE_LIBRARY_PATH]).stdout.toString().trim().split("\n")
  const names = lines.map((line) => line.split(" ").at(-1) ?? "").toSorted()
  expect(names).toEqual(Object.keys({ ...PUBLISHED_SYMBOLS, ...EXTENSION_SYMBOLS }).toSorted())
})
