// A C program that knows only kt-kernel's interface, linked with our library unchanged.
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { KT_BRIDGE_LIBRARY_PATH } from "@ds4/native"
import { ExpertPool, type ExpertShape } from "./index.ts"
import { KT_KERNEL_SYMBOLS } from "./symbols.ts"

const directory = mkdtempSync(join(tmpdir(), "ktb-caller-"))
afterAll(() => rmSync(directory, { recursive: true }))

const folder = join(import.meta.dir, "../../../models/tiny")
const layer = 3
const values = 3 * 256

function build(): string {
  const path = join(directory, "kt-kernel-caller")
  const source = join(import.meta.dir, "testing/kt-kernel-caller.c")
  const run = Bun.spawnSync([
    "cc",
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-O1",
    "-o",
    path,
    source,
    KT_BRIDGE_LIBRARY_PATH,
    `-Wl,-rpath,${dirname(KT_BRIDGE_LIBRARY_PATH)}`,
  ])
  if (run.exitCode !== 0) throw new Error(run.stderr.toString())
  return path
}

describe.skipIf(Bun.which("cc") === null)(
  "a program of kt-kernel's interface (needs a C compiler)",
  () => {
    test("runs on our library and gets what the binding gets", async () => {
      const program = build()
      const out = join(directory, "out.f32")
      const run = Bun.spawnSync([program, folder, String(layer), out])
      expect([run.exitCode, run.stderr.toString(), run.stdout.toString()]).toEqual([0, "", ""])
      const outputs = new Float32Array(await Bun.file(out).arrayBuffer())
      expect(outputs).toHaveLength(4 * values)

      const shape: ExpertShape = {
        experts: 8,
        expertsPerToken: 2,
        hidden: 256,
        moeIntermediateSize: 256,
        swigluLimit: 10,
      }
      using pool = ExpertPool.open({ threads: 2, nodes: [0] })
      const [loaded] = await pool.load({ folder, layers: [layer], shape })
      const expected: Float32Array =
        loaded?.forward({
          input: Float32Array.from({ length: values }, (_, i) => ((i % 17) - 8) / 8),
          ids: Int32Array.of(0, 5, 3, 3, 7, -1),
          weights: Float32Array.of(0.7, 0.8, 0.5, 1, 1.5, 0),
        }) ?? new Float32Array()
      const part = (index: number): Float32Array =>
        outputs.slice(index * values, (index + 1) * values)
      expect(part(0)).toEqual(expected)
      expect(part(1)).toEqual(expected.map((value) => value + 1))
      expect(part(2)).toEqual(expected)
      part(3).forEach((value, i) =>
        expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThanOrEqual(
          Math.abs(expected[i] ?? 0) / 256,
        ),
      )
    })

    test.skipIf(Bun.which("nm") === null)(
      "calls every function of kt-kernel and no other (needs nm)",
      () => {
        const lines = Bun.spawnSync(["nm", "-D", "--undefined-only", build()])
          .stdout.toString()
          .split("\n")
        const called = lines
          .map((line) => line.trim().split(" ").at(-1) ?? "")
          .filter((name) => name.startsWith("ktb_"))
          .toSorted()
        expect(called).toEqual(Object.keys(KT_KERNEL_SYMBOLS).toSorted())
      },
    )
  },
)
