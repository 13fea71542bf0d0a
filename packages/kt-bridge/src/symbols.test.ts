import { expect, test } from "bun:test"
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { KT_BRIDGE_HEADER_PATH, KT_BRIDGE_LIBRARY_PATH } from "@ds4/native"
import { parseCEnums, parseCFunctions, tableRows } from "@ds4/ffi/testing"
import {
  SLOTS_ABI_VERSION,
  EXTENSION_SYMBOLS,
  KTB,
  KTB_MATRIX,
  KT_KERNEL_SYMBOLS,
  SLOTS_SYMBOLS,
} from "./symbols.ts"

const header = await Bun.file(KT_BRIDGE_HEADER_PATH).text()
const types = {
  ktb_engine_t: "ptr",
  ktb_safetensor_t: "ptr",
  ktb_moe_t: "ptr",
  ktb_io_type_t: "i32",
  ktb_method_t: "i32",
}
const all = { ...KT_KERNEL_SYMBOLS, ...EXTENSION_SYMBOLS, ...SLOTS_SYMBOLS }

test("the tables are the header, function for function and in its order", () => {
  const functions = parseCFunctions(header, { exportMacro: "KTB_API", types })
  const table = tableRows(all)
  expect(table).toEqual(functions)
  expect(Object.keys(table)).toEqual(Object.keys(functions))
})

test("the three parts of the header are the three tables", () => {
  const [ktKernel = "", extension = "", slots = ""] = header.split(/---- part [23]/)
  const names = (text: string) =>
    Object.keys(parseCFunctions(text, { exportMacro: "KTB_API", types }))
  expect(names(ktKernel)).toEqual(Object.keys(KT_KERNEL_SYMBOLS))
  expect(names(extension)).toEqual(Object.keys(EXTENSION_SYMBOLS))
  expect(names(slots)).toEqual(Object.keys(SLOTS_SYMBOLS))
})

test.skipIf(Bun.which("cc") === null)(
  "the matrix is laid out as the compiler does it (needs a C compiler)",
  () => {
    const fields = Object.keys(KTB_MATRIX.fields)
    const lines = ["ktb_matrix %zu", ...fields.map((field) => `ktb_matrix.${field} %zu`)].join(
      "\\n",
    )
    const offsets = fields.map((field) => `offsetof(ktb_matrix, ${field})`)
    const program = `#include "kt_bridge.h"
#include <stdio.h>
int main(void) { printf("${lines}", sizeof(ktb_matrix), ${offsets.join(", ")}); return 0; }`
    const path = join(tmpdir(), `ktb-matrix-${process.pid}`)
    try {
      const build = Bun.spawnSync(
        ["cc", "-x", "c", "-", "-o", path, "-I", join(KT_BRIDGE_HEADER_PATH, "..")],
        { stdin: new TextEncoder().encode(program) },
      )
      expect(build.stderr.toString()).toBe("")
      expect(Bun.spawnSync([path]).stdout.toString()).toBe(KTB_MATRIX.describe())
    } finally {
      rmSync(path, { force: true })
    }
  },
)

test("constants are those of the header", () => {
  expect(parseCEnums(header)).toMatchObject(KTB)
  expect(header).toContain(
    `#define KTB_ABI_VERSION 0x${SLOTS_ABI_VERSION.toString(16).padStart(8, "0")}u`,
  )
})

test.skipIf(Bun.which("cc") === null)("the header is C99 (needs a C compiler)", () => {
  const run = Bun.spawnSync([
    "cc",
    "-std=c99",
    "-pedantic",
    "-Wall",
    "-Werror",
    "-fsyntax-only",
    "-x",
    "c",
    KT_BRIDGE_HEADER_PATH,
  ])
  expect(run.stderr.toString()).toBe("")
  expect(run.exitCode).toBe(0)
})

test.skipIf(Bun.which("nm") === null)(
  "the library exports the header's functions and nothing else (needs nm)",
  () => {
    const lines = Bun.spawnSync(["nm", "-D", "--defined-only", KT_BRIDGE_LIBRARY_PATH])
      .stdout.toString()
      .trim()
      .split("\n")
    const names = lines.map((line) => line.split(" ").at(-1) ?? "").toSorted()
    expect(names).toEqual(Object.keys(all).toSorted())
  },
)
