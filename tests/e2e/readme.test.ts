// Every command and program of the top README is run as it stands there. The names of a real model
// are links to the embedded one.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ROOT } from "./support/demo-server.ts"

setDefaultTimeout(120_000) // starts servers; the machine may be busy

const README = await Bun.file(join(ROOT, "README.md")).text()
const GGUF = join(ROOT, "models/demo/demo.gguf")
const folder = mkdtempSync(join(tmpdir(), "ds4-readme-"))
const environment = {
  PATH: process.env.PATH ?? "",
  HOME: folder,
  DS4_LIBRARY: join(ROOT, "native/dist/libds4.so"),
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
}

function blocksOf(language: string): string[] {
  const fence = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g")
  return [...README.matchAll(fence)].map(([, text]) => text ?? "")
}

/** Commands of all shell blocks; a line that ends with a backslash goes on in the next one. */
const commands = blocksOf("sh")
  .flatMap((block) => block.replaceAll("\\\n", " ").split("\n"))
  .map((line) => line.replace(/\s+#.*$/, "").trim())
  .filter((line) => line !== "")

/** The one command that is not run here: it runs this test. */
const TEST_COMMAND = "./ds4 test"

const port = freePort()

function freePort(): number {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() })
  const free = server.port
  void server.stop(true)
  return free ?? 0
}

function start(command: string): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  return Bun.spawn(["sh", "-c", `exec ${command.replaceAll("8000", String(port))}`], {
    cwd: folder,
    env: { ...environment, DS4_PORT: String(port) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
}

async function serve(command: string): Promise<Bun.Subprocess> {
  const child = start(command)
  let said = ""
  for await (const bytes of child.stderr) {
    said += new TextDecoder().decode(bytes)
    if (/^ready/m.test(said)) return child
  }
  throw new Error(`${command} ended: ${said}`)
}

async function end(server: Bun.Subprocess | undefined): Promise<void> {
  server?.kill("SIGTERM")
  expect(await server?.exited).toBe(0)
}

beforeAll(() => {
  symlinkSync(join(ROOT, "ds4"), join(folder, "ds4"))
  symlinkSync(join(ROOT, "models/demo"), join(folder, "DeepSeek-V4-Flash"))
  if (existsSync(GGUF)) symlinkSync(GGUF, join(folder, "model.gguf"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("README.md", () => {
  test("the program prints the answer, as it stands there", async () => {
    const path = join(import.meta.dir, `readme-${process.pid}.ts`) // where package names resolve
    writeFileSync(path, blocksOf("ts")[0] ?? "")
    try {
      const run = Bun.spawnSync([process.execPath, path], { cwd: ROOT, env: environment })
      expect(run.stderr.toString()).toBe("")
      expect(run.stdout.toString()).toContain("42")
    } finally {
      rmSync(path)
    }
  })

  const servers = commands.filter((command) => command.startsWith("./ds4 serve"))
  test.skipIf(!existsSync(GGUF)).each(servers)("%s", async (command) => {
    await end(await serve(command))
  })

  const clients = commands.filter((command) => command.includes(":8000"))
  test("the commands that ask a server are answered", async () => {
    const server = await serve("./ds4 serve --kv-disk-dir states")
    expect(clients.length).toBeGreaterThan(1)
    for (const command of clients) {
      const child = start(command)
      const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()])
      expect([command, await child.exited, err]).toEqual([command, 0, err])
      if (command.includes('"stream": true')) expect(out).toContain("data: [DONE]")
      if (command.includes("/v1/kv/save"))
        expect(JSON.parse(out)).toMatchObject({ label: "handbook" })
    }
    await end(server)
  })

  const rest = commands.filter((each) => ![...servers, ...clients, TEST_COMMAND].includes(each))
  test.skipIf(!existsSync(GGUF)).each(rest)("%s", async (command) => {
    const child = start(command)
    const [err] = await Promise.all([child.stderr.text(), child.stdout.text()])
    expect([command, await child.exited, err]).toEqual([command, 0, err])
  })
})
