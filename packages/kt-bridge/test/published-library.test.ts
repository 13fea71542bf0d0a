// The binding on a library that has the published functions and no extension: a shim compiled here that passes them on.
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { KT_BRIDGE_HEADER_PATH, KT_BRIDGE_LIBRARY_PATH } from "@ds4/native"
import { ExpertPool, type ExpertShape } from "../src/index.ts"
import { ABI_VERSION, EXTENSION_SYMBOLS } from "../src/symbols.ts"

const SHIM = `
#include "kt_bridge.h"
#include <dlfcn.h>
static void *real(const char *name) {
    static void *library;
    if (!library) library = dlopen(REAL, RTLD_NOW);
    return dlsym(library, name);
}
#define PASS(result, name, types, names) \\
    KTB_API result name types { return ((result(*) types)real(#name)) names; }
PASS(ktb_engine_t, ktb_engine_create, (int a, int b), (a, b))
PASS(void, ktb_engine_destroy, (ktb_engine_t a), (a))
PASS(ktb_safetensor_t, ktb_safetensor_open, (const char *a), (a))
PASS(void, ktb_safetensor_close, (ktb_safetensor_t a), (a))
PASS(bool, ktb_safetensor_get, (ktb_safetensor_t a, const char *b, void **c, size_t *d), (a, b, c, d))
PASS(ktb_moe_t, ktb_moe_create, (ktb_engine_t a, int b, int c, int d, int e, int f, ktb_io_type_t g, ktb_method_t h, int i, float j), (a, b, c, d, e, f, g, h, i, j))
PASS(void, ktb_moe_destroy, (ktb_moe_t a), (a))
PASS(int, ktb_moe_load_weights_ptrs, (ktb_moe_t a, int b, const void *const *c, const void *const *d, const void *const *e, const void *const *f, const void *const *g, const void *const *h, const int64_t *i), (a, b, c, d, e, f, g, h, i))
PASS(int, ktb_moe_load_weights_safetensors, (ktb_moe_t a, ktb_safetensor_t b, int c, const int64_t *d), (a, b, c, d))
PASS(void, ktb_moe_forward, (ktb_moe_t a, int b, const void *c, void *d, const int64_t *e, const float *f, bool g, float h), (a, b, c, d, e, f, g, h))
PASS(void, ktb_convert_f32_to_bf16, (const float *a, void *b, size_t c), (a, b, c))
PASS(void, ktb_convert_bf16_to_f32, (const void *a, float *b, size_t c), (a, b, c))
#ifndef WITHOUT_F32
PASS(void, ktb_moe_forward_f32, (ktb_moe_t a, int b, const void *c, void *d, const int32_t *e, const float *f, bool g, float h), (a, b, c, d, e, f, g, h))
#endif
#ifdef VERSION
KTB_API uint32_t ktb_abi_version(void) { return VERSION; }
#endif
`
const directory = mkdtempSync(join(tmpdir(), "ktb-shim-"))
afterAll(() => rmSync(directory, { recursive: true }))

function shim(name: string, flags: string[]): string {
  const path = join(directory, `${name}.so`)
  const command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", path, "-I", join(KT_BRIDGE_HEADER_PATH, ".."), `-DREAL="${KT_BRIDGE_LIBRARY_PATH}"`, ...flags, "-ldl"]
  const run = Bun.spawnSync(command, { stdin: new TextEncoder().encode(SHIM) })
  if (run.exitCode !== 0) throw new Error(run.stderr.toString())
  return path
}

const folder = join(import.meta.dir, "../../../models/tiny")
const shape: ExpertShape = { experts: 8, expertsUsed: 2, hidden: 256, expertWidth: 256, swigluLimit: 10 }

describe.skipIf(Bun.which("cc") === null)("another library by path (needs a C compiler)", () => {
  test("the published functions suffice for loading and forwards", async () => {
    const asked = { input: new Float32Array(512).fill(0.5), ids: Int32Array.of(0, 1, 7, 3), weights: Float32Array.of(1, 0.5, 0.25, 1) }
    using ours = ExpertPool.open({ threads: 1 })
    using theirs = ExpertPool.open({ libraryPath: shim("published", []), threads: 1 })
    const [expected] = await ours.load({ folder, layers: [1], shape })
    const [layer] = await theirs.load({ folder, layers: [1], shape })
    expect(layer?.forward(asked)).toEqual(expected?.forward(asked) ?? new Float32Array())
    expect(() => theirs.stats()).toThrow("lacks ktb_engine_describe")
    expect(() => theirs.selfTest()).toThrow("lacks ktb_selftest")
    expect(layer?.submit(asked)).rejects.toThrow("lacks ktb_moe_submit")
    expect(() => layer?.exportExpert(0, "w1")).toThrow("lacks ktb_moe_export_expert")
    expect(() => ExpertPool.open({ libraryPath: join(directory, "published.so"), threads: 1, numerics: "bf16" })).toThrow("has no option numerics")
    expect(() => ExpertPool.open({ libraryPath: join(directory, "published.so") })).toThrow("is the published library: give threads")
  })

  test("several layers, parts and progress work without the extension; refusals name the layer", async () => {
    using pool = ExpertPool.open({ libraryPath: shim("parts", []), threads: 2, nodes: [0, 0] })
    const loaded = await pool.load({ folder, layers: [0, 2], shape, onProgress: ({ doneBytes, totalBytes }) => expect([doneBytes, totalBytes]).toEqual([0, 0]) })
    expect(loaded.map(({ layer }) => layer)).toEqual([0, 2])
    expect(pool.load({ folder, layers: [6], shape })).rejects.toThrow("ktb_moe_load_weights_safetensors of layer 6")
  })

  test("a missing function is named", () => {
    expect(() => ExpertPool.open({ libraryPath: shim("older", ["-DWITHOUT_F32"]), threads: 1 })).toThrow("it lacks ktb_moe_forward_f32")
  })

  test("an extension that lacks a function is refused with the names of all that are missing", () => {
    const libraryPath = shim("torn", [`-DVERSION=${ABI_VERSION}`])
    const missing = Object.keys(EXTENSION_SYMBOLS).filter((name) => name !== "ktb_abi_version").join(", ")
    expect(() => ExpertPool.open({ libraryPath, threads: 1 })).toThrow(`it lacks ${missing}`)
  })

  test("an extension of another version is refused with both versions", () => {
    expect(() => ExpertPool.open({ libraryPath: shim("newer", ["-DVERSION=0x00030000"]), threads: 1 })).toThrow(/has extension 3\.0, this program needs 2\.\d+ or a later 2\.x/)
    expect(() => ExpertPool.open({ libraryPath: shim("early", ["-DVERSION=0x00020000"]), threads: 1 })).toThrow("has extension 2.0")
  })
})

test("a path without a library is refused", () => {
  expect(() => ExpertPool.open({ libraryPath: "/nowhere/libkt_bridge.so" })).toThrow("--kt-bridge-lib names it")
  expect(() => ExpertPool.open({ libraryPath: import.meta.path })).toThrow("cannot be loaded")
})
