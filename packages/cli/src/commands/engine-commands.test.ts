import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { TINY_MODEL, Workplace } from "../testing/run-program.ts"

setDefaultTimeout(30_000) // a cold start of the engine on a loaded machine

let work: Workplace
beforeEach(() => {
  work = new Workplace()
})
afterEach(() => work[Symbol.dispose]())

const json = (text: string) => JSON.parse(text) as Record<string, unknown>

describe("engine commands on the tiny model", () => {
  test("run answers the same for the same seed", async () => {
    const args = ["run", "-m", TINY_MODEL, "hello", "-n", "12", "--seed", "7", "--json", "-q"]
    const [first, second] = [await work.run(args), await work.run(args)]
    expect(first.err).toBe("")
    const answer = json(first.out)
    // Which tokens a seed draws depends on the last bits of logits, and so on the CPU.
    expect(answer).toMatchObject({
      content: json(second.out)["content"],
      usage: { ...(json(second.out)["usage"] as object), cached_tokens: 0 },
      finish_reason: json(second.out)["finish_reason"],
    })
    const { completion_tokens: tokens } = answer["usage"] as { completion_tokens: number }
    expect(answer["finish_reason"]).toBe(tokens === 12 ? "length" : "stop")
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
          "--seed", // random weights draw a control token now and then, which ends an answer
          "1",
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
      const normaliser = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0))
      // Measured 3.6e-15.
      expect(Math.abs((top[0]?.logprob ?? 9) - (top[0]?.logit ?? NaN) + normaliser)).toBeLessThan(
        1e-14,
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
        schema: "ds4.inspect/2",
        format: "gguf",
      })
      expect((await work.run(["verify", "out.gguf"])).code).toBe(0)
    },
  )

  test("bench moe measures the expert library, as a table and as JSON", async () => {
    const rates = ["bench", "moe", "-t", "1", "--suite", "rates", "-q"]
    const [table, asJson] = [await work.run(rates), await work.run([...rates, "--json"])]
    expect([table.code, table.err]).toEqual([0, ""])
    expect(table.out).toContain("\nrates\n")
    const report = json(asJson.out) as {
      schema: string
      threads: number
      rows: { suite: string; rate: string; all_threads: number }[]
    }
    expect([report.schema, report.threads]).toEqual(["ds4.bench-moe/3", 1])
    const stream = report.rows.find(({ suite, rate }) => suite === "rates" && rate === "stream")
    expect(stream?.all_threads).toBeGreaterThan(0)
  }, 240_000)

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
