import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { OPTION_NAMES } from "@ds4/options"
import { ChatServer } from "../testing/chat-server.ts"
import { TINY_MODEL, Workplace } from "../testing/run-program.ts"

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
      [["run", "x", "--backend", "cuda"], 2, "runs on the CPU only"],
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
})

describe("engine commands on the tiny model", () => {
  test("run answers the same for the same seed", async () => {
    const args = ["run", "-m", TINY_MODEL, "hello", "-n", "12", "--seed", "7", "--json"]
    const [first, second] = [await work.run(args), await work.run(args)]
    expect(first.err).toBe("")
    const { content, usage, finish_reason } = json(first.out)
    expect({ content, usage, finish_reason }).toEqual({
      content: json(second.out).content,
      usage: {
        prompt_tokens: expect.any(Number) as number,
        cached_tokens: 0,
        completion_tokens: 12,
      },
      finish_reason: "length",
    })
  })

  test("run streams events and reads the prompt from arguments, file and pipe", async () => {
    writeFileSync(work.path("prompt.txt"), "from a file")
    const result = await work.run(
      ["run", "-m", TINY_MODEL, "-f", "prompt.txt", "--stream-json", "-n", "4", "--temp", "0"],
      { input: "from a pipe" },
    )
    const events = result.out.trim().split("\n").map(json)
    expect(events.at(-1)).toMatchObject({
      type: "done",
      finish_reason: "length",
      usage: { completion_tokens: 4 },
    })
    const counted = json(
      (
        await work.run(["render", "-m", TINY_MODEL, "--json", "--think=off"], {
          input: JSON.stringify([{ role: "user", content: "from a file\n\nfrom a pipe" }]),
        })
      ).out,
    )
    expect(events.at(-1)).toMatchObject({
      usage: { prompt_tokens: (counted.ids as number[]).length },
    })
  })

  test("a batch answers every line, checks all before it begins", async () => {
    writeFileSync(
      work.path("in.jsonl"),
      `{"prompt":"a","id":"x"}\n{"messages":[{"role":"user","content":"b"}]}\n`,
    )
    expect(
      (
        await work.run([
          "run",
          "-m",
          TINY_MODEL,
          "--batch",
          "in.jsonl",
          "-o",
          "out.jsonl",
          "-n",
          "3",
        ])
      ).code,
    ).toBe(0)
    const lines = readFileSync(work.path("out.jsonl"), "utf8").trim().split("\n").map(json)
    expect(lines.map(({ id, finish_reason }) => [id, finish_reason])).toEqual([
      ["x", "length"],
      [1, "length"],
    ])
    writeFileSync(work.path("bad.jsonl"), `{"prompt":"a"}\n{"promt":"b"}\n`)
    const bad = await work.run(["run", "--batch", "bad.jsonl", "-o", "none.jsonl"])
    expect([bad.code, work.files().includes("none.jsonl")]).toEqual([2, false])
    expect(bad.err).toContain("bad.jsonl:2")
  })

  test("logits have the documented forms, and --raw holds the same numbers", async () => {
    writeFileSync(work.path("ids.json"), "[0, 5, 9]")
    const args = ["logits", "-m", TINY_MODEL, "--ids", "ids.json", "--numerics", "trained"]
    const result = json(
      (await work.run([...args, "--top-k", "3", "--json", "--raw", "raw.f32"])).out,
    ) as {
      tokens: number[]
      positions: { position: number; top: { id: number; logit: number; logprob: number }[] }[]
    }
    expect(result.tokens).toEqual([0, 5, 9])
    expect(result.positions.map(({ position, top }) => [position, top.length])).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
    ])
    const raw = new Float32Array(await Bun.file(work.path("raw.f32")).arrayBuffer())
    const vocab = raw.length / 3
    for (const { position, top } of result.positions) {
      const row = raw.subarray(position * vocab, (position + 1) * vocab)
      expect(top[0]?.logit).toBe(Math.max(...row))
      for (const { id, logit } of top) expect(row[id]).toBe(logit)
      expect(top[0]?.logprob).toBeCloseTo(
        (top[0]?.logit ?? 0) - Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)),
        4,
      )
    }
    expect(Object.keys(result)).toEqual(["tokens", "positions"])
  })

  test("logits refuse ids outside the vocabulary and files that are no list", async () => {
    for (const content of ["[999999]", "[]", "{}", "[1.5]", "nonsense"]) {
      writeFileSync(work.path("ids.json"), content)
      expect([content, (await work.run(["logits", "--ids", "ids.json"])).code]).toEqual([
        content,
        2,
      ])
    }
  })

  test("the dump is a safetensors file of named arrays", async () => {
    writeFileSync(work.path("ids.json"), "[0, 5, 9]")
    await work.run(["logits", "--ids", "ids.json", "--dump", "dump.safetensors"])
    const bytes = readFileSync(work.path("dump.safetensors"))
    const length = Number(bytes.readBigUInt64LE())
    const header = json(bytes.subarray(8, 8 + length).toString()) as Record<
      string,
      { data_offsets: [number, number] }
    >
    expect(Object.keys(header).some((name) => name.startsWith("layer0."))).toBe(true)
    expect(Math.max(...Object.values(header).map(({ data_offsets }) => data_offsets[1]))).toBe(
      bytes.length - 8 - length,
    )
  })

  test(
    "the distance of an arithmetic to itself is nothing, of fast to trained " + "something",
    async () => {
      const distance = async (...args: string[]) =>
        json((await work.run(["logits", "-m", TINY_MODEL, "--json", ...args])).out)
      expect(await distance("--compare", "trained", "--numerics", "trained")).toMatchObject({
        mean_kl: 0,
        top1_agreement: 1,
        max_logit_difference: 0,
      })
      const fast = await distance("--compare", "trained")
      expect(fast.positions).toBe(256)
      expect(fast.mean_kl).toBeGreaterThan(0)
    },
  )

  test(
    "quantize makes a file that answers like its source, and never overwrites " + "unasked",
    async () => {
      expect(
        (
          await work.run([
            "quantize",
            TINY_MODEL,
            "out.gguf",
            "--recipe",
            "f32",
            "--experts",
            "MXFP4",
          ])
        ).code,
      ).toBe(0)
      const again = await work.run(["quantize", TINY_MODEL, "out.gguf"])
      expect([again.code, work.files()]).toEqual([2, ["out.gguf"]])
      expect(again.err).toContain("--force")
      // not 3: the model is fine
      expect((await work.run(["quantize", TINY_MODEL, "nowhere/out.gguf"])).code).toBe(1)
      writeFileSync(work.path("ids.json"), "[0, 5, 9, 30]")
      const top = async (model: string) => {
        const { positions } = json(
          (
            await work.run([
              "logits",
              "--ids",
              "ids.json",
              "--top-k",
              "1",
              "--json",
              "--numerics",
              "plain",
              "-m",
              model,
            ])
          ).out,
        ) as { positions: { top: { id: number }[] }[] }
        return positions.map((each) => each.top[0]?.id)
      }
      expect(await top("out.gguf")).toEqual(await top(TINY_MODEL))
      expect(json((await work.run(["inspect", "out.gguf", "--json"])).out)).toMatchObject({
        schema: "ds4.inspect/1",
        format: "gguf",
      })
      expect((await work.run(["verify", "out.gguf"])).code).toBe(0)
    },
  )

  test("bench moe measures the expert library, as a table and as JSON", async () => {
    const table = await work.run(["bench", "moe", "-t", "1", "--suite", "rates"])
    expect([table.code, table.err]).toEqual([0, ""])
    expect(table.out).toContain("\nrates\n")
    const report = json(
      (await work.run(["bench", "moe", "-t", "1", "--suite", "rates", "--json"])).out,
    ) as {
      schema: string
      threads: number
      rows: { suite: string; rate: string; all_threads: number }[]
    }
    expect([report.schema, report.threads]).toEqual(["ds4.bench-moe/3", 1])
    const stream = report.rows.find(({ suite, rate }) => suite === "rates" && rate === "stream")
    expect(stream?.all_threads).toBeGreaterThan(0)
  }, 60_000)

  test("bench and doctor report on this machine", async () => {
    const bench = json(
      (
        await work.run([
          "bench",
          "-m",
          TINY_MODEL,
          "--prompt-tokens",
          "16",
          "--gen-tokens",
          "4",
          "--repeats",
          "3",
          "--json",
          "--csv",
          "bench.csv",
        ])
      ).out,
    ) as { decode_tokens_per_second: { low: number; median: number; high: number } }
    const { low, median, high } = bench.decode_tokens_per_second
    expect(low > 0 && low <= median && median <= high).toBe(true)
    expect(readFileSync(work.path("bench.csv"), "utf8")).toStartWith(
      "ctx_tokens,prefill_tokens,prefill_tps,gen_tokens,gen_tps,kvcache_bytes\n16,16,",
    )
    const doctor = json((await work.run(["doctor", "--json"])).out) as {
      ok: boolean
      checks: { name: string; verdict: string }[]
    }
    for (const wanted of ["self check", "demo model"])
      expect(doctor.checks.find(({ name }) => name === wanted)?.verdict).toBe("ok")
    expect(doctor.ok).toBe(true)
  })

  test("chat without a terminal answers every line", async () => {
    const result = await work.run(["chat", "-m", TINY_MODEL, "-n", "3", "--seed", "1"], {
      input: "one\n/undo\ntwo\n/quit\nnever\n",
    })
    expect(result.code).toBe(0)
    expect(result.err.match(/3 out/g)).toHaveLength(2)
  })

  test("no command leaves a file behind that was not asked for", async () => {
    for (const args of [
      ["run", "x", "-n", "2"],
      ["tokenize", "x"],
      ["inspect"],
      ["config"],
      ["doctor"],
      ["chat"],
    ])
      await work.run(args)
    expect(work.files()).toEqual([])
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
