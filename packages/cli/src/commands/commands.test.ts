import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { OPTION_NAMES } from "@ds4/options"
import { ChatServer } from "../testing/chat-server.ts"
import { Workplace } from "../testing/run-program.ts"

setDefaultTimeout(30_000) // a cold start of the engine on a loaded machine

let work: Workplace
beforeEach(() => {
  work = new Workplace()
})
afterEach(() => work[Symbol.dispose]())

const json = (text: string) => JSON.parse(text) as Record<string, unknown>

describe("exit codes", () => {
  test("2 for usage, 3 for a missing or broken model, 5 for no server", async () => {
    writeFileSync(work.path("broken.gguf"), "GGUF but not really")
    writeFileSync(work.path("bad.toml"), "tempp = 1")
    for (const [args, code, message] of [
      [["srve"], 2, "did you mean ds4 serve?"],
      [["run", "--tmep", "1", "x"], 2, "did you mean --temp?"],
      [["version", "extra"], 2, 'unexpected argument "extra"'],
      [["run", "x", "--config", "bad.toml"], 2, 'did you mean "temp"?'],
      [["logits"], 2, "--ids FILE is missing"],
      [["bench", "memory"], 2, 'there is no benchmark "memory"'],
      [["eval", "--suite", "hard"], 2, "expected one of demo"],
      [["eval", "sums"], 2, 'has no kind "sums"; it has fact'],
      [["run", "x", "-m", "absent.gguf"], 3, "there is no model at absent.gguf"],
      [["inspect", "broken.gguf"], 3, "broken.gguf"],
      [["chat", "--url", "http://127.0.0.1:9"], 5, "there is no server"],
      [["run", "x", "--url", "not an address"], 2, "expected an address"],
    ] as const) {
      const result = await work.run(args)
      expect([args, result.code]).toEqual([args, code])
      expect(result.err).toContain(message)
      expect(result.out).toBe("")
    }
  })

  test("help, version and no command without a terminal succeed on stdout", async () => {
    for (const args of [
      [],
      ["--help"],
      ["help", "run"],
      ["run", "--help"],
      ["--version"],
      ["version", "--json"],
    ]) {
      const result = await work.run(args)
      expect([args, result.code, result.err]).toEqual([args, 0, ""])
      expect(result.out).toContain("ds4")
    }
  })
})

describe("text tools", () => {
  test("tokens turn back into their text, control strings only with --special", async () => {
    const text = "héllo <\uff5cUser\uff5c> 漢字"
    const plain = json((await work.run(["tokenize", "--json"], { input: text })).out)
    const special = json((await work.run(["tokenize", "--json", "--special"], { input: text })).out)
    expect((special.ids as number[]).length).toBeLessThan((plain.ids as number[]).length)
    const back = await work.run(["detokenize"], { input: JSON.stringify(plain) })
    expect(back.out).toBe(`${text}\n`)
    expect((await work.run(["tokenize", "--count", text])).out).toBe(
      `${(plain.ids as number[]).length}\n`,
    )
    expect((await work.run(["detokenize", "999999"])).code).toBe(2)
  })

  test("render shows the prompt of a request", async () => {
    const body = JSON.stringify({
      messages: [{ role: "user", content: "hi" }],
      reasoning_effort: "none",
    })
    expect((await work.run(["render"], { input: body })).out).toBe(
      "<\uff5cbegin\u2581of\u2581sentence\uff5c>" +
        "<\uff5cUser\uff5c>hi<\uff5cAssistant\uff5c></think>\n",
    )
    writeFileSync(work.path("request.json"), body)
    const thinking = json((await work.run(["render", "request.json", "--think", "--json"])).out)
    expect(thinking.text).toEndWith("<think>")
    expect((thinking.ids as number[]).length).toBeGreaterThan(4)
  })

  test("render keeps what JSON.parse loses, and ends the prompt as the request asks", async () => {
    const tool = '{"name":"f","parameters":{"2":1.0,"1":1e5}}'
    const render = async (last: string, more = "") => {
      const messages = `[{"role":"user","content":"u"},${last}]`
      const tools = `[{"type":"function","function":${tool}}]`
      const input = `{"messages":${messages},"tools":${tools}${more},"reasoning_effort":"none"}`
      return await work.run(["render"], { input })
    }
    const answer = '{"role":"assistant","content":"so"}'
    const { out } = await render(answer)
    expect(out).toContain('{"name": "f", "parameters": {"2": 1.0, "1": 100000.0}}')
    expect(out).toEndWith("so<｜end▁of▁sentence｜><｜Assistant｜></think>\n")
    expect((await render(answer, ',"continue_final_message":true')).out).toEndWith("</think>so\n")
    expect((await render(answer, ',"add_generation_prompt":false')).out).toEndWith(
      "so<｜end▁of▁sentence｜>\n",
    )
    const refused = await render('{"role":"user","content":"v","prefix":true}')
    expect(refused.code).toBe(2)
    expect(refused.err).toContain("messages[1].prefix")
  })
})

describe("settings", () => {
  test("config names the origin of every value and hides the key", async () => {
    writeFileSync(work.path("ds4.toml"), 'temp = 0.5\napi-key = "secret"\n')
    const result = await work.run(["config", "--json", "--config", "ds4.toml"], {
      environment: { DS4_TOP_P: "0.9" },
    })
    const { settings } = json(result.out) as {
      settings: { name: string; value: unknown; origin: string }[]
    }
    expect(settings.find(({ name }) => name === "temp")).toMatchObject({
      value: 0.5,
      origin: "file",
    })
    expect(settings.find(({ name }) => name === "top-p")).toMatchObject({
      value: 0.9,
      origin: "environment",
    })
    expect(result.out).not.toContain("secret")
  })

  test("config shows every option, with the default of a command that has its own", async () => {
    const { out } = await work.run(["config"], { environment: { DS4_PORT: "9000" } })
    const names = [...out.matchAll(/^([\w-]+) {2}/gm)].map(([, name]) => name)
    expect(new Set([...names, "help"])).toEqual(new Set(OPTION_NAMES))
    expect(out).toMatch(/^port +9000 +DS4_PORT$/m)
    expect(out).toMatch(/^max-tokens +\(unset\) \(serve: 393216\) +default$/m)
  })

  test("settings from a file reach a request", async () => {
    using server = new ChatServer(() => ({ content: ["ok"] }))
    writeFileSync(work.path("ds4.toml"), `temp = 0.5\nurl = "${server.url}"\nthink = "low"\n`)
    const result = await work.run(["run", "hello", "--config", "ds4.toml", "--quiet"])
    expect([result.code, result.out, result.err]).toEqual([0, "ok\n", ""])
    expect(server.requests[0]).toMatchObject({ temperature: 0.5, reasoning_effort: "low" })
  })
})

test("completion scripts name every command", async () => {
  for (const shell of ["bash", "zsh", "fish"])
    expect((await work.run(["completion", shell])).out).toContain("tokenize")
  expect((await work.run(["completion", "tcsh"])).code).toBe(2)
})
