import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { chatScript } from "../../testing/chat-script.ts"
import { ChatServer } from "../../testing/chat-server.ts"
import { TerminalProgram } from "../../testing/terminal-program.ts"

let server: ChatServer
beforeEach(() => {
  server = new ChatServer((request) => chatScript(request.messages.at(-1)?.content ?? ""))
})
afterEach(() => server[Symbol.dispose]())

const chat = (...args: string[]) => new TerminalProgram(["chat", "--url", server.url, ...args])

describe("slash commands", () => {
  test("export asks before it overwrites; anything but yes leaves the file", async () => {
    await using program = chat()
    await program.prompt()
    program.type("first\r")
    await program.until("You said: first")
    await program.prompt()
    const path = join(program.home, "talk.md")
    writeFileSync(path, "precious")
    for (const no of ["n\r", "\r", "\x04", "yesterday\r"]) {
      program.type("/export talk.md\r")
      await program.until("overwrite it? [y/N]")
      program.type(no)
      await program.until("stays as it was")
      await program.prompt()
      expect(readFileSync(path, "utf8")).toBe("precious")
    }
    program.type("/export talk.md\r")
    await program.until("overwrite it? [y/N]")
    program.type("y\r")
    await program.until("wrote talk.md")
    expect(readFileSync(path, "utf8")).toContain("You said: first")
    await program.prompt()
    program.type("/export other.md\r")
    await program.until("wrote other.md")
  })

  test("undo, retry and edit rewind the conversation", async () => {
    await using program = chat()
    await program.prompt()
    for (const text of ["first", "second"]) {
      program.type(`${text}\r`)
      await program.until(`You said: ${text}`)
      await program.prompt()
    }
    program.type("/retry 0.5\r")
    await program.until("You said: second")
    await program.prompt()
    program.type("/undo\r")
    await program.until("2 messages left")
    await program.prompt()
    program.type("/edit\r")
    await program.until("> first")
    program.type(" again\r")
    await program.until("You said: first again")
    expect(server.requests.at(-1)?.messages).toHaveLength(1)
    expect(server.requests[2]?.temperature).toBe(0.5)
    expect(server.requests[2]?.messages.map(({ content }) => content)).toEqual([
      "first",
      "You said: first",
      "second",
    ])
  })

  test("settings change the next request; mistakes name the nearest and send nothing", async () => {
    await using program = chat()
    await program.prompt()
    for (const [line, shown] of [
      ["/set temp 0.25", "temp: 0.25"],
      ["/set max-tokens 7", "max-tokens: 7"],
      ["/think max", "think: max"],
      ["/system be brief", "system: be brief"],
      ["/set tmep 1", "did you mean temp?"],
      ["/hlep", "did you mean /help?"],
      ["/set temp hot", "expected a number"],
      ["/think deeply", "not low, high, max or off"],
    ]) {
      program.type(`${line}\r`)
      await program.until(shown ?? "")
      await program.prompt()
    }
    program.type("//literal\r")
    await program.until("You said: /literal")
    expect(server.requests).toHaveLength(1)
    expect(server.requests[0]).toMatchObject({
      temperature: 0.25,
      max_tokens: 7,
      reasoning_effort: "max",
    })
    expect(server.requests[0]?.messages[0]).toEqual({ role: "system", content: "be brief" })
  })

  test("conversations are saved, listed, loaded, exported and removed", async () => {
    await using program = chat()
    await program.prompt()
    const steps = async (...pairs: [string, string][]) => {
      for (const [line, shown] of pairs) {
        program.type(`${line}\r`)
        await program.until(shown)
        await program.prompt()
      }
    }
    await steps(
      ["hello", "2 out"],
      ["/save talk", "saved"],
      ["/new", "new conversation"],
      ["/list", "talk"],
      ["/load talk", "2 messages"],
    )
    await steps(
      ["/export out.md", "wrote out.md"],
      ["/export out.json", "wrote out.json"],
      ["/save ../escape", "cannot be a conversation's name"],
    )
    expect(readFileSync(join(program.home, "out.md"), "utf8")).toBe(
      "## Question\n\nhello\n\n## Answer\n\nYou said: hello\n",
    )
    expect(JSON.parse(readFileSync(join(program.home, "out.json"), "utf8"))).toMatchObject({
      messages: [{ content: "hello" }, { role: "assistant" }],
    })
    await steps(["/rm talk", "removed talk"], ["/load talk", "there is no saved conversation"])
    expect(existsSync(join(program.home, ".local/state/ds4/chats/talk.json"))).toBe(false)
  })

  test("files are attached by /read and by @path", async () => {
    await using program = chat()
    writeFileSync(join(program.home, "notes.txt"), "alpha\n")
    await program.prompt()
    program.type("/read notes.txt\r")
    await program.until("attached notes.txt")
    await program.prompt()
    program.type("and @notes.txt please\r")
    await program.until("2 out")
    const sent = server.requests[0]?.messages[0]?.content ?? ""
    expect(sent.match(/alpha/g)).toHaveLength(2)
    expect(sent).toEndWith("and @notes.txt please")
    await program.prompt()
    program.type("/read missing.txt\r")
    await program.until("there is no file missing.txt")
  })

  test("help, stats and the limits of a server are said plainly", async () => {
    await using program = chat()
    await program.prompt()
    for (const [line, shown] of [
      ["/help", "/export"],
      ["/help retry", "ask the last question again"],
      ["cut", "[token limit; /continue goes on]"],
      ["/continue", "You said: half"],
      ["/stats", "scripted"],
      ["/tokens", "only a local engine"],
      ["refuse", "the server answered 400: no such \ufffd[31mthing"],
    ]) {
      program.type(`${line}\r`)
      await program.until(shown ?? "")
      await program.prompt()
    }
    const [cut, continued] = server.requests
    expect(cut).not.toHaveProperty("continue_final_message")
    expect(continued).toMatchObject({
      messages: [{ content: "cut" }, { role: "assistant", content: "half", prefix: true }],
      continue_final_message: true,
      add_generation_prompt: false,
    })
    program.type("/quit\r")
    expect(await program.exit()).toBe(0)
  })
})
