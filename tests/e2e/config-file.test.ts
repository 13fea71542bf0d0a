// ds4.toml with keys of the server: the server honours them, other commands are not disturbed.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { join } from "node:path"
import { DemoHome, ROOT } from "./support/demo-server.ts"

setDefaultTimeout(60_000) // starts servers; the machine may be busy

let home: DemoHome
beforeEach(() => {
  home = new DemoHome()
})
afterEach(() => home[Symbol.dispose]())

function configure(...lines: string[]): string {
  const folder = join(home.folder, ".config/ds4")
  mkdirSync(folder, { recursive: true })
  const path = join(folder, "ds4.toml")
  writeFileSync(path, lines.join("\n"))
  return path
}

/** A port that nobody listens on at this moment. */
async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as AddressInfo
    probe.close(() => resolve(port))
  })
  return promise
}

for (const [name, command] of [
  ["./ds4 serve", [join(ROOT, "ds4"), "serve"]],
  ["the server by itself", [process.execPath, join(ROOT, "packages/server/src/main.ts")]],
] as const) {
  test(`port, model name and limits of ds4.toml reach ${name}`, async () => {
    const port = await freePort()
    configure(`port = ${port}`, 'model-id = "from-the-file"', "max-tokens = 7")
    const server = await home.serve([...command])
    try {
      expect(server.url).toBe(`http://127.0.0.1:${port}`)
      const models = (await (await fetch(`${server.url}/v1/models`)).json()) as {
        data: [{ id: string; top_provider: { max_completion_tokens: number } }]
      }
      expect(models.data[0]).toMatchObject({
        id: "from-the-file",
        top_provider: { max_completion_tokens: 7 },
      })
    } finally {
      await server.stop()
    }
  })
}

test("other commands work with the server's keys in ds4.toml, and config shows them", async () => {
  const path = configure("# the server", "port = 9000", 'host = "127.0.0.2"')
  expect(await home.ds4(["tokenize", "hello", "--count"])).toMatchObject({ code: 0, out: "3\n" })
  const { code, out } = await home.ds4(["config", "--json"])
  const { settings } = JSON.parse(out) as { settings: { name: string; value: unknown }[] }
  expect(code).toBe(0)
  expect(settings.find(({ name }) => name === "port")).toMatchObject({
    value: 9000,
    origin: "file",
    source: `${path}:2`,
    variable: "DS4_PORT",
  })
})

test("a misspelt key or a wrong type stops every command, naming file, line and key", async () => {
  const path = configure("temp = 1", "prot = 9000")
  for (const args of [["serve"], ["tokenize", "hello"]])
    expect(await home.ds4(args)).toMatchObject({
      code: 2,
      err: expect.stringContaining(`${path}:2: unknown key "prot"; did you mean "port"?`),
    })
  configure("port = 'high'")
  expect(await home.ds4(["serve"])).toMatchObject({
    code: 2,
    err: expect.stringContaining(
      `${path}:1: port is "high"; expected a whole number from 0 to 65535`,
    ),
  })
})

test("ds4 serve gives a misspelt flag the nearest name, before anything is built", async () => {
  expect(await home.ds4(["serve", "--prot", "1"])).toEqual({
    code: 2,
    out: "",
    err: "ds4: unknown flag --prot; did you mean --port?\n",
  })
})
