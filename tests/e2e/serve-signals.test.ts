// However `ds4 serve` is ended, the server behind it ends too.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

setDefaultTimeout(60_000) // starts servers; the machine may be busy

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "ds4-signals-"))
const environment = {
  PATH: process.env.PATH ?? "",
  HOME: folder,
  DS4_LIBRARY: join(ROOT, "native/dist/libds4.so"),
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
}
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function start(
  path = environment.PATH,
): Promise<{ server: Bun.Subprocess<"ignore", "ignore", "pipe">; url: string }> {
  const server = Bun.spawn(
    [join(ROOT, "ds4"), "serve", "-m", join(ROOT, "models/tiny"), "--port", "0"],
    {
      cwd: folder,
      env: { ...environment, PATH: path },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    },
  )
  const reader = server.stderr.getReader()
  let said = ""
  for (;;) {
    const { value, done } = await reader.read()
    if (done) throw new Error(`the server ended: ${said}`)
    said += new TextDecoder().decode(value)
    const url = /(http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1]
    if (url !== undefined && /^ready/m.test(said)) return { server, url }
  }
}

/** Whether nobody answers any more, within five seconds. */
async function isGone(url: string): Promise<boolean> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (
      await fetch(`${url}/health`).then(
        () => false,
        () => true,
      )
    )
      return true
    await Bun.sleep(50)
  }
  return false
}

test.each(["SIGINT", "SIGHUP"] as const)(
  "%s to the command alone drains the server: exit code 0",
  async (signal) => {
    const { server, url } = await start()
    server.kill(signal)
    expect(await isGone(url)).toBe(true)
    expect(await server.exited).toBe(0)
  },
)

/**
 * A PATH with an npx and no bun. Like npm's, this npx knows a bun, and a signal to it does not
 * reach what it runs.
 */
function pathWithNpx(): string {
  const [npx, bins] = [join(folder, "npx-only"), join(folder, "npx-bins")]
  for (const made of [npx, bins]) mkdirSync(made, { recursive: true })
  symlinkSync(process.execPath, join(bins, "bun"))
  const script =
    `#!/bin/sh\n[ "$1" = -y ] && shift\nPATH="${bins}:$PATH"\ncase $1 in ` +
    `--package=*) ` +
    `exec sh ` +
    `-c "$3" ;; esac\nshift\nbun "$@"\n`
  writeFileSync(join(npx, "npx"), script, { mode: 0o755 })
  for (const tool of ["sh", "sed", "dirname"]) symlinkSync(Bun.which(tool) ?? "", join(npx, tool))
  return npx
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s where only npx knows a bun drains the server: exit code 0",
  async (signal) => {
    const { server, url } = await start(pathWithNpx())
    server.kill(signal)
    expect(await isGone(url)).toBe(true)
    expect(await server.exited).toBe(0)
    rmSync(join(folder, "npx-only"), { recursive: true })
    rmSync(join(folder, "npx-bins"), { recursive: true })
  },
)

test("a command that is killed leaves no server behind", async () => {
  const { server, url } = await start()
  server.kill("SIGKILL")
  expect(await isGone(url)).toBe(true)
})

test(
  "Ctrl+C in a terminal, which reaches the whole process group, is one signal to the " + "server",
  async () => {
    const { server, url } = await start()
    const slow = await fetch(`${url}/v1/completions`, {
      method: "POST",
      body: JSON.stringify({ prompt: "a", stream: true, max_tokens: 600, seed: 1 }),
    })
    const whole = slow.text()
    for (const pid of await groupOf(server.pid)) process.kill(pid, "SIGINT")
    expect(await whole).toEndWith("data: [DONE]\n\n") // drained, not cut
    expect(await server.exited).toBe(0)
  },
)

/**
 * The process and those it started that a terminal would signal with it: its children in its own
 * process group.
 */
async function groupOf(pid: number): Promise<number[]> {
  const group = (await statOf(pid))?.group
  const pids = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  const stats = await Promise.all(pids.map(async (each) => ({ each, stat: await statOf(each) })))
  return stats
    .filter(({ each, stat }) => each === pid || (stat?.parent === pid && stat.group === group))
    .map(({ each }) => each)
}

async function statOf(pid: number): Promise<{ parent: number; group: number } | undefined> {
  try {
    // state, parent, group, …
    const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ")
    return { parent: Number(fields[1]), group: Number(fields[2]) }
  } catch {
    return undefined // it has ended meanwhile
  }
}
