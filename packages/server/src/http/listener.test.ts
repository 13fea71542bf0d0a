import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { harness, listen, until } from "../testing/harness.ts"
import { exchange, rawPost } from "../testing/raw-connection.ts"
import { CHAT } from "../testing/requests.ts"

const server = listen({ tokenMs: 2, script: () => "Hello world" })
afterAll(() => server.stop())

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
const statuses = (received: string): string[] =>
  [...received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1] ?? "")

describe("requests that are sent before the last answer came", () => {
  const chat = rawPost("/v1/chat/completions", CHAT)
  const stream = rawPost("/v1/chat/completions", { ...CHAT, stream: true })

  test("are answered in order, whole answers and streams", async () => {
    const sent = chat + get("/health") + stream + rawPost("/tokenize", { content: "a" }) + chat
    const { received } = await exchange(
      server.url,
      [sent],
      (text) => text.split('"chat.completion"').length > 2,
    )
    expect(statuses(received)).toEqual(["200", "200", "200", "200", "200"])
    const places = ['"chat.completion"', '"status":"ok"', "data: [DONE]", '"tokens":[']
    const found = places.map((word) => received.indexOf(word))
    expect(found).toEqual(found.toSorted((a, b) => a - b))
    expect(Math.min(...found)).toBeGreaterThan(0)
  })

  test("a refusal does not end the connection, and the next one is answered", async () => {
    const bad = rawPost("/tokenize", { content: 5 })
    const { received } = await exchange(
      server.url,
      [bad + get("/nothing") + get("/health")],
      (text) => text.includes('"status":"ok"'),
    )
    expect(statuses(received)).toEqual(["400", "404", "200"])
  })

  test("what is no request is refused behind the answer before it", async () => {
    const { received, isClosed } = await exchange(server.url, [`${chat}nonsense\r\n\r\n`])
    expect(statuses(received)).toEqual(["200", "400"])
    expect(received).toContain("this is no HTTP/1.1 request")
    expect(isClosed).toBe(true)
  })

  test("all end when the client leaves", async () => {
    const slow = listen({ tokenMs: 5, script: () => "on and ".repeat(5000) })
    await exchange(slow.url, [stream + stream], (text) => text.includes("data: "))
    await until(() => slow.registry.size === 0)
    expect(slow.lines.every((line) => line.status === 499)).toBe(true)
    await slow.stop()
  })
})

describe("headers", () => {
  test("larger than the limit are 431 with an error body, smaller ones pass", async () => {
    const request = (bytes: number) =>
      get("/health").replace("\r\n\r\n", `\r\nConnection: close\r\nX: ${"y".repeat(bytes)}\r\n\r\n`)
    expect(statuses((await exchange(server.url, [request(60_000)])).received)).toEqual(["200"])
    const { received, isClosed } = await exchange(server.url, [request(70_000)])
    expect(statuses(received)).toEqual(["431"])
    expect(isClosed).toBe(true)
    expect(JSON.parse(received.slice(received.indexOf("\r\n\r\n")))).toMatchObject({
      error: { type: "invalid_request_error", code: "headers_too_large" },
    })
  })

  test("that are none, and TLS, are 400 and the connection is closed", async () => {
    for (const text of [
      "GET / HTTP/1.1\r\nHost a\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00xxxxxxxxx",
    ]) {
      const { received, isClosed } = await exchange(server.url, [text])
      expect([statuses(received), isClosed]).toEqual([["400"], true])
      expect(received).toContain('"type":"invalid_request_error"')
    }
  })

  test("may be missing: HTTP/1.0 without Host is answered, streams unchunked", async () => {
    const old = (text: string) =>
      text.replace("HTTP/1.1", "HTTP/1.0").replace("Host: localhost\r\n", "")
    const models = await exchange(server.url, [old(get("/v1/models"))])
    expect(models.received).toContain('"object":"list"')
    const body = rawPost("/v1/chat/completions", { ...CHAT, stream: true })
    const { received, isClosed } = await exchange(server.url, [old(body)])
    expect(isClosed).toBe(true)
    expect(received.toLowerCase()).not.toContain("chunked")
    expect(received.trimEnd().endsWith("data: [DONE]")).toBe(true)
  })
})

describe("bodies", () => {
  test("that wait for 100 Continue are asked for", async () => {
    const sent = rawPost("/v1/chat/completions", CHAT, "Expect: 100-continue\r\n")
    const cut = sent.indexOf("\r\n\r\n") + 4
    const { received } = await exchange(server.url, [sent.slice(0, cut), sent.slice(cut)], (text) =>
      text.includes('"chat.completion"'),
    )
    expect(statuses(received)).toEqual(["100", "200"])
  })

  test("that are refused while they are sent leave the connection usable", async () => {
    const small = listen({ settings: (settings) => void (settings.maxBodyBytes = 5000) })
    const long = rawPost("/tokenize", { content: "x".repeat(3_000_000) })
    const { received } = await exchange(small.url, [long + get("/health")], (text) =>
      text.includes('"status":"ok"'),
    )
    expect(statuses(received)).toEqual(["413", "200"])
    await small.stop()
  })
})

describe("a Unix socket", () => {
  const folder = mkdtempSync(join(tmpdir(), "ds4-socket-"))
  const ask = async (unix: string) => (await fetch("http://localhost/health", { unix })).status

  test("that a killed server left is taken over; one in use is not", async () => {
    const unix = join(folder, "left.sock")
    const killed = Bun.spawn(
      [
        process.execPath,
        "-e",
        `Bun.listen({ unix: ${JSON.stringify(unix)}, socket: { data() {} } });console.log("up")`,
      ],
      { stdout: "pipe" },
    )
    await killed.stdout.getReader().read()
    killed.kill("SIGKILL")
    await killed.exited
    expect(existsSync(unix)).toBe(true)
    const first = harness()
    await first.app.listen({ unix })
    expect(await ask(unix)).toBe(200)
    const failure = await harness()
      .app.listen({ unix })
      .catch((error: unknown) => String(error))
    expect(failure).toContain("EADDRINUSE")
    expect(await ask(unix)).toBe(200)
    await first.app.stop(true)
    expect(existsSync(unix)).toBe(false)
  })

  test("does not replace a file", async () => {
    const unix = join(folder, "file")
    writeFileSync(unix, "precious")
    const failure = await harness()
      .app.listen({ unix })
      .catch((error: unknown) => String(error))
    expect(failure).toContain("not a socket")
    expect(await Bun.file(unix).text()).toBe("precious")
  })
})
