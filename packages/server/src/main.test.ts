import { expect, test } from "bun:test"
import { LACKING, MAIN } from "./testing/server-process.ts"

test("a model that is not there ends the process with 3 and says so", async () => {
  const child = Bun.spawn([process.execPath, MAIN, "--port", "0", "-m", "/nowhere/model.gguf"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  })
  expect(await new Response(child.stderr).text()).toContain("cannot load the model: ")
  expect(await child.exited).toBe(3)
}, 120_000)

test("a bad flag ends the process with 2", async () => {
  const child = Bun.spawn([process.execPath, MAIN, "--port", "high"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  })
  expect(await new Response(child.stderr).text()).toContain('--port is "high"')
  expect(await child.exited).toBe(2)
}, 120_000)

test.skipIf(LACKING.length > 0)(
  "a port that is taken ends the process with 1 instead of sharing it",
  async () => {
    using taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("mine") })
    const child = Bun.spawn([process.execPath, MAIN, "--port", String(taken.port)], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    })
    expect(await new Response(child.stderr).text()).toContain("cannot listen on 127.0.0.1")
    expect(await child.exited).toBe(1)
  },
  30_000,
)
