import { expect, setDefaultTimeout, test } from "bun:test"
import { TINY_MODEL } from "../testing/run-program.ts"
import { TerminalProgram } from "../testing/terminal-program.ts"

const TINY = ["chat", "-m", TINY_MODEL, "--think=off"]

setDefaultTimeout(30_000) // a cold start of the engine on a loaded machine

test("a local chat keeps its context: the second turn finds the first one cached", async () => {
  await using program = new TerminalProgram([...TINY, "-n", "8", "--seed", "3"])
  await program.prompt()
  program.type("hello\r")
  expect(await program.until("8 out")).not.toContain("cached")
  await program.prompt()
  program.type("/tokens\r")
  await program.until(/\d+ tokens/)
  await program.prompt()
  program.type("again\r")
  await program.until(/\(\d+ cached\) · 8 out/)
  await program.prompt()
  program.type("/prompt\r")
  await program.until("<\uff5cUser\uff5c>again")
  program.type("\x04")
  expect(await program.exit()).toBe(0)
})

test("an answer cut by the limit goes on where it stopped", async () => {
  await using program = new TerminalProgram([...TINY, "-n", "6", "--temp", "0"])
  await program.prompt()
  program.type("hello\r")
  await program.until("[token limit; /continue goes on]")
  await program.prompt()
  program.type("/continue\r")
  await program.until("13 in · 6 out") // seven of the question, six of the answer so far
  await program.prompt()
  program.type("/export all.json\r")
  await program.until("wrote all.json")
  const { messages } = (await Bun.file(`${program.home}/all.json`).json()) as {
    messages: { role: string }[]
  }
  expect(messages.map(({ role }) => role)).toEqual(["user", "assistant"])
})

test(
  "Ctrl+C while the prompt is read stops the engine within a step and gives the " + "question back",
  async () => {
    await using program = new TerminalProgram([...TINY, "-n", "5", "--prefill-chunk", "16"])
    await program.prompt()
    program.paste(Array.from({ length: 700 }, (_, index) => `#${index}`).join("\n"))
    await program.until("#699")
    program.type("\r")
    await Bun.sleep(50)
    const startMs = performance.now()
    program.type("\x03")
    await program.until("the question is back in the line")
    expect(performance.now() - startMs).toBeLessThan(10_000)
    await program.until("#699")
    program.type("\x03/quit\r") // Ctrl+C clears the line
    expect(await program.exit()).toBe(0)
  },
)
