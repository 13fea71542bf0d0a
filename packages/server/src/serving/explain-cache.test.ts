// Where a prompt left what was known: told to clients that ask, and to the log when it costs much.
import { expect, spyOn, test } from "bun:test"
import { stderrLog } from "../http/request-log.ts"
import { parseFrames } from "../testing/frames.ts"
import { type Harness, harness } from "../testing/harness.ts"

const EXPLAIN = { "x-ds4-explain-cache": "1" }
const TEXT = "The sea is salt — as ever. ".repeat(20)

interface Explanation {
  source: string
  cached_tokens: number
  reason: string
  nearest: {
    source: string
    shared_tokens: number
    byte_offset: number
    known: { ids: number[]; text: string }
    prompt: { ids: number[]; text: string }
  } | null
}
interface Explained {
  usage?: { cache_explanation?: Explanation }
  response?: Explained
}

interface Api {
  readonly path: string
  readonly body: (text: string) => object
}

const chat = (text: string) => ({ messages: [{ role: "user", content: text }], thinking: false })
const APIS: readonly Api[] = [
  { path: "/v1/chat/completions", body: chat },
  { path: "/v1/completions", body: (prompt) => ({ prompt }) },
  { path: "/v1/messages", body: chat },
  { path: "/v1/responses", body: (input) => ({ input, thinking: false }) },
]

async function ask(
  server: Harness,
  { path, body }: Api,
  text: string,
  more: object = {},
  headers: Record<string, string> = EXPLAIN,
): Promise<Explanation | undefined> {
  const answer = await server.post(path, { ...body(text), ...more }, headers)
  expect(answer.status).toBe(200)
  if (!("stream" in more)) return ((await answer.json()) as Explained).usage?.cache_explanation
  const frames = parseFrames(await answer.text()).filter(({ data }) => data.startsWith("{"))
  const found = frames.map(({ data }) => JSON.parse(data) as Explained)
  const usages = found.flatMap((each) => each.usage ?? each.response?.usage ?? [])
  return usages.at(-1)?.cache_explanation
}

test.each(APIS.map((api) => [api.path, api] as const))(
  "%s tells the place, both sides and the tier, whole and as a stream",
  async (_, api) => {
    for (const more of [{}, { stream: true, stream_options: { include_usage: true } }]) {
      const server = harness()
      const first = await ask(server, api, `${TEXT}Why é?`, more)
      expect(first).toMatchObject({ source: "none", cached_tokens: 0, nearest: null })
      const found = await ask(server, api, `${TEXT}Who is it?`, more)
      expect(found?.nearest).toMatchObject({ source: "memory" })
      const { nearest } = found ?? {}
      const tokens = server.engine.requests[1]?.promptTokens ?? []
      const at = nearest?.shared_tokens ?? -1
      const { tokenizer } = server.state.require().chat
      expect(Buffer.from(tokenizer.decode(tokens.slice(0, at))).length).toBe(
        nearest?.byte_offset ?? -1,
      )
      expect(nearest?.prompt.ids).toEqual(tokens.slice(at, at + 8))
      expect(nearest?.prompt.text).toBe(tokenizer.decode(nearest?.prompt.ids ?? []))
      const known = server.engine.requests[0]?.promptTokens ?? []
      const rest = known.slice(at, at + 8) // and then the answer
      expect(nearest?.known.ids.slice(0, rest.length)).toEqual([...rest])
      expect(rest[0]).not.toBe(tokens[at] ?? -1)
      expect(found?.reason).toContain(`behind token ${at}`)
    }
  },
)

test("nothing is told unasked, nor of others' prompts where several keys are set", async () => {
  const [api] = APIS
  if (api === undefined) throw new Error("there is no API")
  const server = harness()
  await ask(server, api, TEXT)
  expect(await ask(server, api, `${TEXT}Why?`, {}, {})).toBeUndefined()
  const shared = harness({ settings: ({ access }) => void (access.apiKeys = ["one", "two"]) })
  await ask(shared, api, `${TEXT}My secret`, {}, { ...EXPLAIN, authorization: "Bearer one" })
  const other = { ...EXPLAIN, authorization: "Bearer two" }
  const told = await ask(shared, api, `${TEXT}My guess`, {}, other)
  expect(told).toMatchObject({ source: "none", nearest: null })
  expect(told?.reason).toContain("several API keys")
  const key = { authorization: "Bearer two" }
  const body = { ...api.body(`${TEXT}My secret`), label: "x" }
  expect((await shared.post("/v1/kv/save", body, { authorization: "Bearer one" })).status).toBe(200)
  const { data } = (await (await shared.get("/v1/kv", key)).json()) as { data: object[] }
  expect(data).toMatchObject([{ label: "x", preview: null }])
})

test("an answer that goes on from all that was known says so", async () => {
  const server = harness()
  const [api] = APIS
  if (api === undefined) throw new Error("there is no API")
  await ask(server, api, TEXT)
  const again = await ask(server, api, TEXT)
  expect(again?.source).toBe("memory")
  expect(again?.reason).toStartWith("the prompt ")
})

test("a large miss has its reason in the log, with counts and no words", async () => {
  const server = harness()
  const long = "Alpha beta gamma delta. ".repeat(400)
  const messages = (end: string) => ({ messages: [{ role: "user", content: long + end }] })
  await server.post("/v1/chat/completions", messages("One?"))
  await server.post("/v1/chat/completions", messages("Two?"))
  const [first, second] = server.lines
  expect(first?.generation).toMatchObject({ cacheSource: "none", cacheMiss: undefined })
  const miss = second?.generation?.cacheMiss ?? ""
  expect(miss).toMatch(
    /^\d{4} known tokens were read again: the prompt leaves what is known behind token \d{4}, /,
  )
  expect(miss).not.toMatch(/Alpha|Two/)
  const written: string[] = []
  const spy = spyOn(process.stderr, "write").mockImplementation((text) => {
    written.push(String(text))
    return true
  })
  try {
    for (const format of ["text", "json"] as const)
      for (const line of server.lines) stderrLog(format).write(line)
  } finally {
    spy.mockRestore()
  }
  expect(written[0]).toContain(" cache=none")
  expect(written[0]).not.toContain("miss=")
  expect(written[1]).toContain(` miss=${JSON.stringify(miss)}`)
  expect(JSON.parse(written[3] ?? "")).toMatchObject({ generation: { cacheMiss: miss } })
})
