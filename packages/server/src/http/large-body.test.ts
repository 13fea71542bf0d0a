import { describe, expect, test } from "bun:test"
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import { errorOf } from "../testing/answered-errors.ts"
import { harness, type Listening, listen, until } from "../testing/harness.ts"
import { worstHealth } from "../testing/worst-health.ts"
import { CHAT } from "../testing/requests.ts"
import { BodyBudget } from "./body-budget.ts"

const post = (
  server: Listening,
  path: string,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream,
  headers = {},
) => fetch(server.url + path, { method: "POST", body, headers })

describe("compressed bodies", () => {
  const server = listen({ settings: (settings) => void (settings.maxBodyBytes = 200_000) })
  const plain = JSON.stringify(CHAT)

  test.each([
    ["gzip", gzipSync(plain)],
    ["X-GZIP", gzipSync(plain)],
    ["deflate", deflateSync(plain)],
    ["br", brotliCompressSync(plain)],
    ["zstd", zstdCompressSync(plain)],
    ["identity", Buffer.from(plain)],
    ["deflate, gzip", gzipSync(deflateSync(plain))],
  ])("of %s are read", async (coding, bytes) => {
    const answer = await post(server, "/v1/chat/completions", new Uint8Array(bytes), {
      "content-encoding": coding,
    })
    expect([coding, answer.status]).toEqual([coding, 200])
  })

  test("of another coding are refused by its name", async () => {
    const answer = await post(server, "/v1/messages", plain, { "content-encoding": "compress" })
    expect([answer.status, answer.headers.get("accept-encoding")]).toEqual([
      415,
      "gzip, deflate, br, zstd",
    ])
    expect(JSON.stringify(await answer.json())).toContain("compress")
    const many = { "content-encoding": "gzip, gzip, gzip, gzip" }
    expect((await post(server, "/v1/messages", plain, many)).status).toBe(415)
  })

  test("that are damaged, cut or not of that coding are 400", async () => {
    const damaged = gzipSync(plain)
    damaged[20] = (damaged[20] ?? 0) ^ 0xff
    for (const bytes of [damaged, gzipSync(plain).subarray(0, 30), Buffer.from(plain)]) {
      const answer = await post(server, "/v1/chat/completions", new Uint8Array(bytes), {
        "content-encoding": "gzip",
      })
      expect(answer.status).toBe(400)
      expect((await errorOf(answer)).message).toContain("content-encoding gzip")
    }
  })

  test("that grow beyond the limit are 413, before they have grown", async () => {
    const bomb = gzipSync(Buffer.alloc(100_000_000))
    expect(bomb.byteLength).toBeLessThan(200_000)
    const before = process.memoryUsage.rss()
    const answer = await post(server, "/tokenize", new Uint8Array(bomb), {
      "content-encoding": "gzip",
    })
    expect(answer.status).toBe(413)
    expect(process.memoryUsage.rss() - before).toBeLessThan(80_000_000)
    await server.stop()
  })
})

describe("a body with too much in it is a 400 that names the field", () => {
  const server = harness()
  const message = '{"role":"user","content":"a"}'

  test.each([
    ["messages", `{"messages":[${`${message},`.repeat(800_000)}${message}]}`],
    ["messages", `{"messages":[${`${message},`.repeat(150_000)}${message}]}`],
    ["x", `{"messages":[${message}],"x":[${"1,".repeat(3_000_000)}1]}`],
    ["tools", `{"messages":[${message}],"tools":[${"{},".repeat(20_000)}{}]}`],
  ])("%s", async (field, body) => {
    const error = await errorOf(await server.post("/v1/chat/completions", body))
    expect([error.type, error.param]).toEqual(["invalid_request_error", field])
  })

  test("and 2^20 token ids are not too much", async () => {
    const tokens = `{"tokens":[${"100,".repeat(2 ** 20)}100]}`
    expect((await server.post("/detokenize", tokens)).status).toBe(200)
  })
})

test("health is answered while bodies of 60 MB are read and refused", async () => {
  const server = listen()
  const bodies = [
    `{"messages":[{"role":"user","content":"a"}],"x":[${"1,".repeat(30_000_000)}1]}`,
    `{"messages":[${'{"role":"user","content":"a"},'.repeat(2_000_000)}{}]}`,
    `{"messages":[{"role":"user","content":"${"the world and\\n".repeat(4_000_000)}"}],}`,
  ]
  for (const body of bodies) {
    const begin = performance.now()
    const work = post(server, "/v1/chat/completions", body).then((answer) => {
      expect(answer.status).toBe(400)
      return answer.text()
    })
    const worstMs = await worstHealth(server.url, work)
    // Other programs lengthen single pauses too: on a busy machine only the share counts.
    if (worstMs >= 500) expect(worstMs / (performance.now() - begin)).toBeLessThan(0.5)
  }
  await server.stop()
}, 480_000)

test("all bodies together have a bound of memory, which is given back", async () => {
  const budget = new BodyBudget(1000)
  const shares = Array.from({ length: 4 }, () => budget.open())
  for (const share of shares) share.add(1000)
  expect(() => budget.open().add(1)).toThrow("try again later")
  shares[0]?.[Symbol.dispose]()
  expect(() => budget.open().add(1000)).not.toThrow()

  const server = listen({ settings: (settings) => void (settings.maxBodyBytes = 1_000_000) })
  const held: ReadableStreamDefaultController[] = []
  const half = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(900_000).fill(0x20))
        held.push(controller)
      },
    })
  const waiting = Array.from({ length: 4 }, () => post(server, "/tokenize", half()))
  let refused: Response | undefined
  await until(() => held.length === 4)
  for (let tries = 0; refused?.status !== 429 && tries < 100; tries++) {
    refused = await post(server, "/tokenize", " ".repeat(900_000))
    await refused.text()
    await Bun.sleep(5)
  }
  expect(refused?.status).toBe(429)
  for (const controller of held) controller.close()
  for (const answer of waiting) expect((await answer).status).toBe(400)
  expect((await post(server, "/tokenize", `{"content":"${" ".repeat(900_000)}"}`)).status).toBe(200)
  await server.stop()
}, 240_000)
