import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { chatScript } from "../testing/chat-script.ts"
import { ChatServer } from "../testing/chat-server.ts"
import { TerminalProgram } from "../testing/terminal-program.ts"

let server: ChatServer
beforeEach(() => {
  server = new ChatServer((request) => chatScript(request.messages.at(-1)?.content ?? ""))
})
afterEach(() => server[Symbol.dispose]())

const chat = (...args: string[]) => new TerminalProgram(["chat", "--url", server.url, ...args])

describe("chat in a terminal", () => {
  test(
    "answers stream, the closing line counts, the next turn carries the " + "conversation",
    async () => {
      await using program = chat()
      await program.prompt()
      program.type("hello\r")
      await program.until("You said: hello")
      await program.until("1,204 in (1,150 cached) · 2 out")
      await program.prompt()
      program.type("again\r")
      await program.until("You said: again")
      expect(server.requests[1]?.messages.map(({ content }) => content)).toEqual([
        "hello",
        "You said: hello",
        "again",
      ])
      await program.prompt()
      program.type("\x04")
      expect(await program.exit()).toBe(0)
    },
  )

  test("Ctrl+C before any output takes the question back into the line", async () => {
    await using program = chat()
    await program.prompt()
    program.type("slow start\r")
    await Bun.sleep(300)
    program.type("\x03")
    await program.until("the question is back in the line")
    await program.until("> slow start")
    program.type("\x15hello\r") // Ctrl+U clears it
    await program.until("You said: hello")
    expect(server.requests.at(-1)?.messages).toHaveLength(1)
  })

  test("a question that is taken back keeps the files attached to it", async () => {
    await using program = chat()
    await program.prompt()
    writeFileSync(join(program.home, "note.txt"), "remember the milk\n")
    program.type("/read note.txt\r")
    await program.until("attached")
    program.type("slow start\r")
    await Bun.sleep(300)
    program.type("\x03")
    await program.until("the question is back in the line")
    await program.until("> slow start")
    program.type("\x15hello\r")
    await program.until("You said:")
    expect(
      server.requests.map(({ messages }) => messages[0]?.content.includes("remember the milk")),
    ).toEqual([true, true])
    await program.prompt()
    program.type("again\r")
    await program.until("You said: again")
    expect(server.requests.at(-1)?.messages.at(-1)?.content).toBe("again")
  })

  test("Ctrl+C while text streams keeps what was said and reaches the server", async () => {
    await using program = chat()
    await program.prompt()
    program.type("slow\r")
    await program.until("one two ")
    program.type("\x03")
    await program.until("[interrupted; /continue goes on]")
    await program.prompt()
    program.type("hello\r")
    await program.until("You said: hello")
    const kept = server.requests.at(-1)?.messages[1]?.content ?? ""
    expect(kept).toStartWith("one two ")
    expect(kept).not.toContain("five")
    expect(server.cancelled).toBe(1)
  })

  test("Ctrl+C at the prompt clears the line, twice on an empty line leaves", async () => {
    await using program = chat()
    await program.prompt()
    program.type("never sent\x03")
    await Bun.sleep(50)
    program.type("\x03")
    await program.until("Ctrl+C again leaves")
    await program.prompt()
    program.type("\x03")
    expect(await program.exit()).toBe(0)
    expect(server.requests).toHaveLength(0)
  })

  test("a paste of ten thousand lines is one question", async () => {
    await using program = chat()
    await program.prompt()
    const text = Array.from({ length: 10_000 }, (_, index) => `line ${index}`).join("\n")
    program.paste(text)
    program.type("\r")
    await program.until("2 out")
    expect(server.requests).toHaveLength(1)
    expect(server.requests[0]?.messages[0]?.content).toBe(text)
  })

  test("lines go on after a backslash, Alt+Enter and within triple quotes", async () => {
    await using program = chat()
    await program.prompt()
    program.type("a\\\rb\x1b\rc\r")
    await program.until("2 out")
    await program.prompt()
    program.type('"""x\ry\r"""\r')
    await program.until("2 out")
    expect(server.requests.map(({ messages }) => messages.at(-1)?.content)).toEqual([
      "a\nb\nc",
      "x\ny",
    ])
  })

  test("what is typed while an answer runs waits for the prompt", async () => {
    await using program = chat()
    await program.prompt()
    program.type("slow\r")
    await program.until("one ")
    program.type("next\r")
    await program.until("You said: next")
    expect(server.requests).toHaveLength(2)
  })

  test("what is typed before the prompt is there waits for it", async () => {
    await using program = chat()
    program.type("early\r")
    await program.until("You said: early")
  })

  test("reasoning is shown apart from the answer, or folded into one line", async () => {
    await using program = chat()
    await program.prompt()
    program.type("ponder\r")
    await program.until("hm, let me see")
    await program.until("42")
    await program.prompt()
    program.type("/reasoning hide\r")
    await program.until("reasoning: hide")
    await program.prompt()
    program.type("ponder\r")
    const shown = await program.until("thought for 0 s")
    expect(shown).not.toContain("let me see")
  })

  test("resizing leaves the line as it was", async () => {
    await using program = chat()
    await program.prompt()
    program.type("some text that is longer than a narrow window")
    await program.until("narrow window")
    program.resize(20, 10)
    await program.until("window")
    program.type("!\r")
    await program.until("2 out")
    expect(server.requests[0]?.messages[0]?.content).toBe(
      "some text that is longer than a narrow window!",
    )
  })

  test("markdown is rendered where colours are allowed, and raw with --plain", async () => {
    server[Symbol.dispose]()
    server = new ChatServer(() => ({ content: ["some **bo", "ld** text\n\n", "- item\n"] }))
    await using drawn = new TerminalProgram(["chat", "--url", server.url], {
      environment: { NO_COLOR: "" },
    })
    await drawn.until("/help")
    drawn.type("hello\r")
    await drawn.until("\x1b[1mbold\x1b[22m")
    await drawn.until("• ")
    await using plain = new TerminalProgram(["chat", "--url", server.url, "--plain"], {
      environment: { NO_COLOR: "" },
    })
    await plain.until("/help")
    plain.type("hello\r")
    await plain.until("some **bold** text")
  })
})

describe("files of a chat", () => {
  test("history is kept for its owner only and comes back in the next chat", async () => {
    await using first = chat()
    await first.prompt()
    first.type("hello\r")
    await first.until("2 out")
    await first.prompt()
    first.type(" not kept\r")
    await first.until("2 out")
    const path = join(first.home, ".local/state/ds4/history")
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, "utf8")).toBe("hello\n")
    await using second = new TerminalProgram(["chat", "--url", server.url], { home: first.home })
    await second.prompt()
    second.type("\x1b[A")
    await second.until("> hello")
  })

  test("nothing is written outside the state folder", async () => {
    await using program = chat()
    await program.prompt()
    program.type("hello\r")
    await program.until("2 out")
    await program.prompt()
    program.type("/save mine\r")
    await program.until("saved")
    const files = readdirSync(program.home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(program.home.length))
    expect(files.toSorted()).toEqual([
      "/.local/state/ds4/chats/mine.json",
      "/.local/state/ds4/history",
    ])
  })
})

describe("Tab in a terminal", () => {
  /** Types, presses Tab and waits for what the line has become. */
  const completes = async (program: TerminalProgram, typed: string, line: string) => {
    program.type(`${typed}\t`)
    await program.until(`> ${line}`)
    program.type("\x15") // Ctrl+U clears the line
    await program.until("\x1b[J> \r")
  }

  test("completes slash commands, their words, files and @files", async () => {
    await using program = chat()
    writeFileSync(join(program.home, "notes.txt"), "alpha\n")
    mkdirSync(join(program.home, "folder"))
    writeFileSync(join(program.home, "folder/inner.md"), "beta\n")
    await program.prompt()
    for (const [typed, line] of [
      ["/ret", "/retry "],
      ["/re", "/re"],
      ["/think hi", "/think high "],
      ["/set top-", "/set top-"],
      ["/set reas", "/set reasoning-budget "],
      ["/help exp", "/help export "],
      ["/read no", "/read notes.txt "],
      ["/read notes.txt fol", "/read notes.txt folder/"],
      ["/export folder/in", "/export folder/inner.md "],
      ["explain @no", "explain @notes.txt "],
      ["look at folder/i", "look at folder/inner.md "],
    ] as const)
      await completes(program, typed, line)
    program.type("see @no\tplease\r")
    await program.until("2 out")
    expect(server.requests[0]?.messages[0]?.content).toContain("alpha")
  })

  test("shows what fits where it is not certain, and the line stays", async () => {
    await using program = chat()
    await program.prompt()
    program.type("/re\t")
    await program.until("/read")
    await program.until("/reasoning")
    await program.until("/retry")
    await program.until("> /re")
    program.type("try\x15hello\r")
    await program.until("You said: hello")
  })

  test("offers saved conversations, and is a tab in front of a line", async () => {
    await using program = chat()
    await program.prompt()
    program.type("hello\r")
    await program.until("2 out")
    await program.prompt()
    program.type("/save talk-one\r")
    await program.until("saved")
    await program.prompt()
    await completes(program, "/load ta", "/load talk-one ")
    program.type("\tindented\r")
    await program.until("You said: \tindented")
    expect(server.requests.at(-1)?.messages.at(-1)?.content).toBe("\tindented")
  })
})
