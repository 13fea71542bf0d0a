// The binding on a library that has kt-kernel's functions and no extension: a shim compiled here
// that passes them on.
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ExpertPool, type ExpertShape } from "./index.ts"
import { SLOTS_ABI_VERSION, SLOTS_SYMBOLS } from "./symbols.ts"
import {
  buildOldestShim,
  buildKtKernelShim,
  canBuildShim,
  EXTENSION_NAMES,
} from "./testing/kt-kernel-shim.ts"

const directory = mkdtempSync(join(tmpdir(), "ktb-shim-"))
afterAll(() => rmSync(directory, { recursive: true }))
const shim = (name: string, flags: readonly string[], extension: readonly string[] = []): string =>
  buildKtKernelShim(directory, name, flags, extension)

const folder = join(import.meta.dir, "../../../models/tiny")
const shape: ExpertShape = {
  experts: 8,
  expertsPerToken: 2,
  hidden: 256,
  moeIntermediateSize: 256,
  swigluLimit: 10,
}

describe.skipIf(!canBuildShim())("another library by path (needs a C compiler)", () => {
  test("kt-kernel's functions suffice for loading and forwards", async () => {
    const asked = {
      input: new Float32Array(512).fill(0.5),
      ids: Int32Array.of(0, 1, 7, 3),
      weights: Float32Array.of(1, 0.5, 0.25, 1),
    }
    using ours = ExpertPool.open({ threads: 1 })
    using theirs = ExpertPool.open({ libraryPath: shim("kt-kernel", []), threads: 1 })
    const [expected] = await ours.load({ folder, layers: [1], shape })
    const [layer] = await theirs.load({ folder, layers: [1], shape })
    expect(layer?.forward(asked)).toEqual(expected?.forward(asked) ?? new Float32Array())
    expect(() => theirs.stats()).toThrow("lacks ktb_engine_describe")
    expect(() => theirs.selfTest()).toThrow("lacks ktb_selftest")
    expect(layer?.submit(asked)).rejects.toThrow("lacks ktb_moe_submit")
    expect(() => layer?.exportExpert(0, "w1")).toThrow("lacks ktb_moe_export_expert")
    expect(() => layer?.slots()).toThrow("lacks ktb_moe_slots")
    expect(theirs.load({ folder, layers: [1], shape, experts: [1] })).rejects.toThrow(
      "lacks ktb_moe_keep_experts",
    )
    expect(() =>
      ExpertPool.open({
        libraryPath: join(directory, "kt-kernel.so"),
        threads: 1,
        numerics: "bf16",
      }),
    ).toThrow("has no option numerics")
    expect(() => ExpertPool.open({ libraryPath: join(directory, "kt-kernel.so") })).toThrow(
      "is kt-kernel's library: give threads",
    )
  })

  test(
    "several layers, parts and progress work without the extension; refusals name the " + "layer",
    async () => {
      using pool = ExpertPool.open({ libraryPath: shim("parts", []), threads: 2, nodes: [0, 0] })
      const loaded = await pool.load({
        folder,
        layers: [0, 2],
        shape,
        onProgress: ({ doneBytes, totalBytes }) => expect([doneBytes, totalBytes]).toEqual([0, 0]),
      })
      expect(loaded.map(({ layer }) => layer)).toEqual([0, 2])
      expect(pool.load({ folder, layers: [6], shape })).rejects.toThrow(
        "ktb_moe_load_weights_safetensors of layer 6",
      )
    },
  )

  test(
    "the revision before slots does everything else, and lacks each of their functions " +
      "by name",
    async () => {
      const libraryPath = buildOldestShim(directory, "oldest")
      const asked = {
        input: new Float32Array(256).fill(0.5),
        ids: Int32Array.of(0, 7),
        weights: Float32Array.of(1, 0.5),
      }
      using pool = ExpertPool.open({ libraryPath, threads: 1, numerics: "bf16" })
      using ours = ExpertPool.open({ threads: 1, numerics: "bf16" })
      const [layer] = await pool.load({ folder, layers: [1], shape })
      const [own] = await ours.load({ folder, layers: [1], shape })
      if (layer === undefined || own === undefined) throw new Error("no layer")
      expect(await layer.submit(asked)).toEqual(own.forward(asked))
      expect([pool.stats().layers, pool.stats().slots]).toEqual([1, []])
      const weights = { codes: new Uint8Array(1), scales: new Uint8Array(1) }
      expect(() => layer.slots()).toThrow("lacks ktb_moe_slots: it is older than revision 2.5")
      expect(() => layer.packed(0)).toThrow("lacks ktb_moe_packed")
      expect(() => pool.share(layer)).toThrow("lacks ktb_moe_create_shared")
      expect(() => ours.share(layer)).toThrow("weights are shared within one library")
      expect(layer.replaceExpert(0, 0, { w1: weights, w2: weights, w3: weights })).rejects.toThrow(
        "lacks ktb_moe_move_expert",
      )
      expect(pool.load({ folder, layers: [1], shape, experts: [1] })).rejects.toThrow(
        "lacks ktb_moe_keep_experts",
      )
    },
  )

  test("a missing function is named", () => {
    expect(() =>
      ExpertPool.open({ libraryPath: shim("older", ["-DWITHOUT_F32"]), threads: 1 }),
    ).toThrow("it lacks ktb_moe_forward_f32")
  })

  test(
    "an extension that lacks a function is refused with the names of all that are " + "missing",
    () => {
      const libraryPath = shim("torn", [`-DVERSION=${SLOTS_ABI_VERSION}`])
      expect(() => ExpertPool.open({ libraryPath, threads: 1 })).toThrow(
        `it lacks ${[...EXTENSION_NAMES, ...Object.keys(SLOTS_SYMBOLS)].join(", ")}`,
      )
      const half = shim(
        "half",
        [`-DVERSION=${SLOTS_ABI_VERSION}`],
        [...EXTENSION_NAMES, "ktb_moe_slots"],
      )
      expect(() => ExpertPool.open({ libraryPath: half, threads: 1 })).toThrow(
        "it lacks ktb_moe_keep_experts, ktb_moe_move_expert, ktb_moe_create_shared, ktb_moe_packed",
      )
    },
  )

  test("an extension of another version is refused with both versions", () => {
    expect(() =>
      ExpertPool.open({ libraryPath: shim("newer", ["-DVERSION=0x00030000"]), threads: 1 }),
    ).toThrow(/has extension 3\.0, this program needs 2\.\d+ or a later 2\.x/)
    expect(() =>
      ExpertPool.open({ libraryPath: shim("early", ["-DVERSION=0x00020000"]), threads: 1 }),
    ).toThrow("has extension 2.0")
  })
})

test("a path without a library is refused", () => {
  expect(() => ExpertPool.open({ libraryPath: "/nowhere/libkt_bridge.so" })).toThrow(
    "--kt-bridge-lib names it",
  )
  expect(() => ExpertPool.open({ libraryPath: import.meta.path })).toThrow("cannot be loaded")
})
