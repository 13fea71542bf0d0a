// The examples of the README are run as they stand there.
import { expect, test } from "bun:test"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { LACKING, LIBRARY } from "./testing/server-process.ts"

const ROOT = join(import.meta.dir, "../../..")
const README = await Bun.file(join(import.meta.dir, "../README.md")).text()

function blocksOf(language: string): string[] {
  const fence = new RegExp("```" + language + "\\n([\\s\\S]*?)```", "g")
  return [...README.matchAll(fence)].map(([, code]) => code ?? "")
}

test.skipIf(LACKING.length > 0)(
  "the program answers on the embedded model",
  async () => {
    // Beside the sources, so that the package's name resolves.
    const path = join(import.meta.dir, `readme-${process.pid}.ts`)
    writeFileSync(path, blocksOf("ts")[0] ?? "")
    try {
      const run = Bun.spawnSync([process.execPath, path], { cwd: ROOT })
      expect(run.stderr.toString()).toBe("")
      expect(run.stdout.toString()).toContain("42")
      expect(run.exitCode).toBe(0)
    } finally {
      rmSync(path)
    }
  },
  60_000,
)

test.skipIf(LACKING.length > 0)(
  "every command of the shell example serves",
  async () => {
    const commands = (blocksOf("sh")[0] ?? "").split("\n").filter((line) => line !== "")
    expect(commands.length).toBeGreaterThan(1)
    for (const command of commands) {
      const [, ...words] = (command.split("#")[0] ?? "").trim().split(/\s+/)
      const child = Bun.spawn([process.execPath, ...words], {
        cwd: ROOT,
        env: { ...process.env, DS4_PORT: "0", DS4_LIBRARY: LIBRARY },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        detached: true, // `bun run` passes no signal on: its group is ended as a whole
      })
      let said = ""
      for await (const bytes of child.stderr) {
        said += new TextDecoder().decode(bytes)
        if (/^ready/m.test(said) && !said.includes("draining")) process.kill(-child.pid, "SIGTERM")
      }
      expect([command, said]).toEqual([command, expect.stringContaining("draining")])
    }
  },
  60_000,
)
