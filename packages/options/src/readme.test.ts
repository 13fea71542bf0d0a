// The example of the README is run as it stands there.
import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

test("the README's example prints what its comment says", async () => {
  const readme = await Bun.file(join(import.meta.dir, "../README.md")).text()
  const code = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? ""
  const said = /console\.log\(.*\) \/\/ (.*)/.exec(code)?.[1] ?? "nothing"
  const folder = mkdtempSync(join(tmpdir(), "ds4-options-"))
  try {
    const index = JSON.stringify(join(import.meta.dir, "index.ts"))
    writeFileSync(join(folder, "example.ts"), code.replaceAll('"@ds4/options"', index))
    const { PATH } = process.env
    const run = Bun.spawnSync([process.execPath, "example.ts"], {
      cwd: folder,
      env: { PATH, HOME: folder },
    })
    expect([run.stderr.toString(), run.stdout.toString()]).toEqual(["", `${said}\n`])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
