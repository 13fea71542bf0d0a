// Models that cannot be loaded, under every command that loads one, and models that lack a
// vocabulary under the commands that need none.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test"
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { TINY_MODEL, Workplace } from "../testing/run-program.ts"

setDefaultTimeout(120_000) // a command is a cold start each

const work = new Workplace()
afterAll(() => work[Symbol.dispose]())
writeFileSync(work.path("ids.json"), "[0, 5, 9]")

/** Every command that loads a model, for the model at a path. */
const COMMANDS: Readonly<Record<string, (model: string) => readonly string[]>> = {
  run: (model) => ["run", "-m", model, "hello"],
  chat: (model) => ["chat", "-m", model],
  serve: (model) => ["serve", "-m", model, "--port", "0"],
  eval: (model) => ["eval", "-m", model],
  tokenize: (model) => ["tokenize", "-m", model, "hello"],
  logits: (model) => ["logits", "-m", model, "--ids", "ids.json", "--top-k", "1"],
  bench: (model) =>
    ["bench", "-m", model].concat("--prompt-tokens 4 --gen-tokens 2 --repeats 1".split(" ")),
  inspect: (model) => ["inspect", model],
  verify: (model) => ["verify", model],
  quantize: (model) => ["quantize", model, `out-${model}.gguf`],
}

/** A copy of the tiny model in which a file is changed, or left out. */
function copy(name: string, file: string, change?: (text: string) => string): string {
  const folder = work.path(name)
  cpSync(TINY_MODEL, folder, { recursive: true })
  const path = join(folder, file)
  if (change === undefined) rmSync(path)
  else writeFileSync(path, change(readFileSync(path, "utf8")))
  return name
}

const LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 77\n"

test("exit 3 and the path for every model that cannot be loaded", async () => {
  mkdirSync(work.path("empty"))
  writeFileSync(work.path("pointer.gguf"), LFS)
  mkdirSync(work.path("one"))
  writeFileSync(work.path("one/model.gguf"), "GGUF")
  for (const [model, words] of [
    ["absent.gguf", "absent.gguf"],
    ["empty", "It is empty"],
    ["one", "name one/model.gguf"],
    ["pointer.gguf", "Git LFS pointer"],
    [copy("no-config", "config.json"), "no config.json"],
    [copy("cut-vocabulary", "tokenizer.json", (text) => text.slice(0, -5)), "tokenizer.json"],
    [copy("lfs-vocabulary", "tokenizer.json", () => LFS), "Git LFS pointer"],
    [
      copy("other-vocabulary", "tokenizer.json", (text) => text.replace('"Isolated"', '"Removed"')),
      "pre_tokenizer",
    ],
    [
      copy("no-sinkhorn", "config.json", (text) =>
        text.replace(/"hc_sinkhorn_iters": *\d+/, '"hc_sinkhorn_iters": 0'),
      ),
      "sinkhorn",
    ],
  ] as const)
    await Promise.all(
      Object.entries(COMMANDS).map(async ([name, command]) => {
        const isForAll = ["pointer.gguf", "cut-vocabulary"].includes(model)
        if (!isForAll && !["run", "inspect", "serve"].includes(name)) return
        const { code, err } = await work.run(command(model))
        expect([name, model, code, err]).toEqual([name, model, 3, expect.stringContaining(words)])
        expect(err).toContain(model)
      }),
    )
})

test("without a vocabulary commands that need none work, the others say so", async () => {
  const model = copy("no-vocabulary", "tokenizer.json")
  const whole = COMMANDS.logits?.(TINY_MODEL) ?? []
  for (const name of ["logits", "bench", "inspect", "verify", "quantize"]) {
    const { code, out, err } = await work.run(COMMANDS[name]?.(model) ?? [])
    expect([name, code, err]).toEqual([name, 0, err])
    if (name === "logits") expect(out).toBe((await work.run(whole)).out)
    if (name === "inspect") expect(out).toContain("no vocabulary")
  }
  for (const name of ["run", "chat", "serve", "eval", "tokenize"]) {
    const { code, err } = await work.run(COMMANDS[name]?.(model) ?? [])
    expect([name, code, err]).toEqual([name, 3, expect.stringContaining("no vocabulary")])
    expect(err).toContain(model)
  }
  // The quantised file has none, too.
  const { code } = await work.run(["logits", "-m", `out-${model}.gguf`, "--ids", "ids.json"])
  expect(code).toBe(0)
})

test("a damaged generation_config.json, which nobody needs, does no harm", async () => {
  for (const [name, text] of [
    ["cut", "{"],
    ["latin1", '{"eos_token_id": [1, 3]}'],
    ["list", "[]"],
  ] as const) {
    const model = copy(`generation-${name}`, "config.json", (config) => config)
    writeFileSync(work.path(`${model}/generation_config.json`), text)
    expect((await work.run(COMMANDS.tokenize?.(model) ?? [])).code).toBe(0)
  }
})
