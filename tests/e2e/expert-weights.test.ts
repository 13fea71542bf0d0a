// The flags about routed experts, from the command line to the answer.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { DemoHome } from "./support/demo-server.ts"

setDefaultTimeout(120_000) // the machine may be busy

const DEMO = join(fileURLToPath(new URL("../..", import.meta.url)), "models/demo")
const home = new DemoHome()
afterAll(() => home[Symbol.dispose]())

const QUESTION = [
  "run",
  "-m",
  DEMO,
  "What is ds4?",
  "-n",
  "40",
  "--temp",
  "0",
  "--think=off",
  "--json",
]

async function answer(...flags: string[]): Promise<string> {
  const { code, out, err } = await home.ds4([...QUESTION, ...flags])
  expect([code, err]).toEqual([0, err])
  return (JSON.parse(out) as { content: string }).content
}

test(
  "experts of the model's own folder, packed or mapped, by any of the flags, give the same " +
    "answer",
  async () => {
    const expected = await answer()
    expect(expected).toContain("ds4")
    expect(await answer("--kt-weight-path", DEMO)).toBe(expected)
    expect(await answer("--cpu-moe", "--kt-method", "MXFP4")).toBe(expected)
    expect(await answer("--kt-cpuinfer", "1", "--kt-threadpool-count", "1")).toBe(expected)
    expect(await answer("--n-cpu-moe-layers", "3")).toBe(expected)
    expect(await answer("--expert-weights", "mapped")).toBe(expected)
  },
)

test("what cannot be done is refused with its reason", async () => {
  const refusal = async (...flags: string[]): Promise<string> => {
    const { code, err } = await home.ds4([...QUESTION, ...flags])
    expect(code).not.toBe(0)
    return err
  }
  expect(await refusal("--cpu-moe", "--expert-weights", "mapped")).toContain(
    "--expert-weights mapped leaves nothing for --cpu-moe to say",
  )
  expect(await refusal("--kt-method", "Q8_0")).toContain(
    "is stored as MXFP4; experts run as they are stored",
  )
  expect(await refusal("--kt-bridge-lib", "/nowhere/libkt_bridge.so")).toContain("cannot be loaded")
  expect(await refusal("--kt-weight-path", "/nowhere")).toContain("/nowhere")
})

test("bench, doctor and inspect say where the experts run", async () => {
  const bench = await home.ds4([
    "bench",
    "-m",
    DEMO,
    "--prompt-tokens",
    "8",
    "--gen-tokens",
    "2",
    "--repeats",
    "1",
    "--cpu-moe",
  ])
  expect(bench.out).toMatch(/^experts  packed in the expert library, int8, \w+$/m)
  const mapped = await home.ds4([
    "bench",
    "-m",
    DEMO,
    "--prompt-tokens",
    "8",
    "--gen-tokens",
    "2",
    "--repeats",
    "1",
    "--expert-weights",
    "mapped",
  ])
  expect(mapped.out).toMatch(/^experts  from the mapped file \(asked for\)$/m)
  expect((await home.ds4(["doctor"])).out).toMatch(
    /experts +(packed in the expert library|from the mapped file)/,
  )
  expect((await home.ds4(["inspect", DEMO])).out).toMatch(
    /routed experts [\d.]+ MiB, the rest [\d.]+ MiB; .* of memory are available/,
  )
})
