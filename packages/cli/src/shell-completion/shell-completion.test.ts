// The scripts as the shells run them; bash is everywhere, the others where they are installed.
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { COMMANDS } from "../commands/index.ts"
import { bashScript } from "./bash-script.ts"
import { completedCommands } from "./completed-command.ts"
import { fishScript } from "./fish-script.ts"

const NAMES = COMMANDS.map(({ name }) => name)
const completed = completedCommands(COMMANDS)

let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ds4-shells-"))
  mkdirSync(join(folder, "models"))
  for (const name of ["my model.gguf", "model.gguf", "run"]) writeFileSync(join(folder, name), "")
  writeFileSync(join(folder, "ds4.bash"), bashScript(completed))
  writeFileSync(join(folder, "ds4.fish"), fishScript(completed))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function linesOf(command: readonly string[]): Promise<string[]> {
  const child = Bun.spawn([...command], { cwd: folder, stdout: "pipe", stderr: "pipe" })
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  expect(err).toBe("")
  return out.split("\n").filter(Boolean).toSorted()
}

/** Candidates of bash for the last of these words, divided as bash divides a line. */
function inBash(...words: string[]): Promise<string[]> {
  const quoted = words.map((word) => `'${word}'`).join(" ")
  const setUp = `source ds4.bash; compopt() { :; }; COMP_WORDS=(ds4 ${quoted})`
  const script = `${setUp}; COMP_CWORD=${words.length}; _ds4; printf '%s\n' "\${COMPREPLY[@]}"`
  return linesOf(["bash", "--norc", "-c", script])
}

describe("bash", () => {
  test.each([
    [["ver"], ["verify", "version"]],
    [["run", "--is"], ["--isa"]],
    [
      ["run", "--isa", "avx"],
      ["avx2", "avx512"],
    ],
    [
      ["run", "--isa", "="],
      ["auto", "avx2", "avx512", "generic"],
    ],
    [
      ["run", "--isa", "=", "avx"],
      ["avx2", "avx512"],
    ],
    [
      ["run", "--isa=avx"],
      ["--isa=avx2", "--isa=avx512"],
    ], // as zsh divides
    [
      ["chat", "--think", "="],
      ["high", "low", "max", "off"],
    ],
    [["chat", "--think", "--no"], ["--no-loop-guard"]],
    [["serve", "--por"], ["--port"]],
    [["logits", "--ra"], ["--raw"]], // spelled so in this command only
    [
      ["run", "-m", "m"],
      ["model.gguf", "models", "my model.gguf"],
    ],
    [
      ["inspect", "mo"],
      ["model.gguf", "models"],
    ],
    [["run", "--temp", "m"], []],
    [["bench", "m"], ["moe"]],
    [
      ["completion", ""],
      ["bash", "fish", "zsh"],
    ],
    [["version", "m"], []],
    [["help", "qu"], ["quantize"]],
    [["--nume"], ["--numerics"]], // a line without a command is one of chat
    [["--numerics", "f"], ["fast"]],
  ] as const)("%j", async (words, candidates) => {
    expect(await inBash(...words)).toEqual([...candidates])
  })

  test("every command and every flag is offered", async () => {
    expect(await inBash("")).toEqual([...NAMES, "help"].toSorted())
    for (const { name, flags } of completed) {
      const offered = await inBash(name, "--")
      expect(offered).toEqual(flags.map(({ long }) => `--${long}`).toSorted())
    }
  })

  test("a Tab at a real prompt completes the word", async () => {
    let shown = ""
    const terminal = new Bun.Terminal({
      data: (_, bytes) => (shown += new TextDecoder().decode(bytes)),
    })
    const shell = Bun.spawn(["bash", "--norc", "--noprofile", "-i"], {
      terminal,
      cwd: folder,
      env: { PATH: process.env.PATH ?? "", PS1: "$ ", TERM: "dumb" },
    })
    const until = async (text: string) => {
      for (let tries = 0; tries < 500 && !shown.includes(text); tries++) await Bun.sleep(10)
      expect(shown).toContain(text)
      shown = ""
    }
    await until("$ ")
    terminal.write("source ds4.bash\n")
    await until("$ ")
    for (const [typed, line] of [
      ["ds4 quan", "ds4 quantize "],
      ["ds4 run --isa=g", "ds4 run --isa=generic "],
      ["ds4 inspect my", "ds4 inspect my\\ model.gguf "],
    ] as const) {
      terminal.write(`${typed}\t`)
      await until(line)
      terminal.write("\x15")
    }
    shell.kill("SIGKILL")
    await shell.exited
    terminal.close()
  })
})

describe.skipIf(Bun.which("fish") === null)("fish", () => {
  test.each([
    ["ds4 ver", ["verify", "version"]],
    ["ds4 run --isa=avx", ["--isa=avx2", "--isa=avx512"]],
    ["ds4 run --isa avx", ["avx2", "avx512"]],
    ["ds4 run -m mod", ["model.gguf", "models/"]],
    ["ds4 bench m", ["moe"]],
    ["ds4 version mod", []],
    ["ds4 --nume", ["--numerics"]],
  ] as const)("%s", async (line, candidates) => {
    const script = `source ds4.fish; complete -C '${line}'`
    const found = await linesOf(["fish", "--no-config", "-c", script])
    expect(found.map((each) => each.split("\t")[0] ?? "")).toEqual([...candidates])
  })
})

test.skipIf(Bun.which("zsh") === null)("zsh reads its script", async () => {
  writeFileSync(
    join(folder, "check.zsh"),
    "autoload -U compinit && compinit -D\nautoload -U +X bashcompinit && bashcompinit\n" +
      `${bashScript(completed)}\nprint $_comps[ds4]\n`,
  )
  expect((await linesOf(["zsh", "-f", "check.zsh"])).join()).toContain("_ds4")
})
