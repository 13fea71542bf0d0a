// The CUDA backend on a machine without a GPU: its kernels run in an emulation, in a library of
// their own. Prompts are short, since the emulation takes some hundred times as long.
import { expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { DIST } from "@ds4/native"

setDefaultTimeout(600_000)

const ROOT = join(import.meta.dir, "..")
const PROMPTS =
  "tiny-a from safetensors, (generic kernels, mapped experts.* p5|mapped experts, trained.* s12):"

test("emulated kernels give the recorded logits, intermediates and greedy tokens", async () => {
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      "--timeout",
      "600000",
      "parity/plain",
      "parity/trained",
      "-t",
      PROMPTS,
    ],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        DS4_LIBRARY: join(DIST, "libds4_emulated.so"),
        DS4_TEST_BACKEND: "cuda",
      },
      stdout: "pipe",
      stderr: "pipe",
    },
  )
  const [code, out, err] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ])
  expect({ code, report: `${out}${err}` }).toEqual({
    code: 0,
    report: expect.stringMatching(/\n 2 pass\n/) as string,
  })
})
