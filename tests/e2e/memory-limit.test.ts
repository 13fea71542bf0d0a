// A control group's memory limit, as a container has it, under the whole command: bench, inspect
// and doctor give one answer. The group is made up in a mount of the test's own, which takes root.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { DemoHome } from "./support/demo-server.ts"

setDefaultTimeout(120_000) // the machine may be busy

const DEMO = join(fileURLToPath(new URL("../..", import.meta.url)), "models/demo")
const MIB = 2 ** 20
const home = new DemoHome()
afterAll(() => home[Symbol.dispose]())

const mayMount =
  Bun.spawnSync(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/sys/fs/cgroup"]).exitCode === 0

/** Runs ds4 where /sys/fs/cgroup holds these files, by their paths below it. */
async function inGroup(files: Readonly<Record<string, string>>, args: readonly string[]) {
  const lines = Object.entries(files).map(
    ([name, text]) =>
      `mkdir -p "$(dirname /sys/fs/cgroup/${name})" && printf '${text}' > /sys/fs/cgroup/${name}`,
  )
  const script = ["mount -t tmpfs none /sys/fs/cgroup", ...lines, 'exec "$@"'].join(" && ")
  return await home.ds4(args, "", ["unshare", "-m", "sh", "-c", script, "sh"])
}

const BENCH = "bench --prompt-tokens 8 --gen-tokens 2 --repeats 1 -m".split(" ")

async function answers(files: Readonly<Record<string, string>>) {
  const bench = await inGroup(files, [...BENCH, DEMO])
  const inspect = await inGroup(files, ["inspect", DEMO])
  const doctor = await inGroup(files, ["doctor"])
  return { bench: bench.out, inspect: inspect.out, doctor: doctor.out }
}

test.skipIf(!mayMount)(
  "bench, inspect and doctor see a limit of version 2, 1 or both",
  async () => {
    const groups: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      "version 2": { "memory.max": `${80 * MIB}`, "memory.current": `${70 * MIB}` },
      "memory.high": {
        "memory.max": "max",
        "memory.high": `${80 * MIB}`,
        "memory.current": `${79 * MIB}`,
        "memory.stat": `active_file ${5 * MIB}\\ninactive_file ${4 * MIB}\\n`,
      },
      "version 1": {
        "memory/memory.limit_in_bytes": `${80 * MIB}`,
        "memory/memory.usage_in_bytes": `${70 * MIB}`,
      },
      hybrid: { "unified/memory.max": `${80 * MIB}`, "unified/memory.current": `${70 * MIB}` },
    }
    for (const [name, files] of Object.entries(groups)) {
      const { bench, inspect, doctor } = await answers(files)
      expect([name, bench]).toEqual([name, expect.stringContaining("from the mapped file")])
      expect([name, bench]).toEqual([name, expect.stringContaining("0.01 GiB are available")])
      expect([name, inspect]).toEqual([
        name,
        expect.stringMatching(/ 10\.0 MiB .*available: .*file/),
      ])
      expect([name, doctor]).toEqual([name, expect.stringMatching(/memory +10\.0 MiB available/)])
    }
  },
)

test.skipIf(!mayMount)("page cache that fills a limit does not keep experts out", async () => {
  for (const list of ["active_file", "inactive_file"]) {
    const { bench, inspect } = await answers({
      "memory.max": `${8192 * MIB}`,
      "memory.current": `${8192 * MIB}`,
      "memory.stat": `anon ${MIB}\\n${list} ${8000 * MIB}\\n`,
    })
    expect(bench).toContain("packed in the expert library")
    expect(inspect).toContain("packed in memory")
  }
})

test.skipIf(!mayMount)(
  "experts that must be packed are refused with a flag to change",
  async () => {
    const files = { "memory.max": `${80 * MIB}`, "memory.current": `${79 * MIB}` }
    const { code, err } = await inGroup(files, [...BENCH, DEMO, "--expert-weights", "packed"])
    expect([code, err]).toEqual([4, expect.stringContaining("--expert-weights mapped")])
  },
)
