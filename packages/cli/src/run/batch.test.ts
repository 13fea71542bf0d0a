import { expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { ChatServer } from "../testing/chat-server.ts"
import { Workplace } from "../testing/run-program.ts"

test("a line may say where its answer begins", async () => {
  using server = new ChatServer(() => ({ content: [" red"] }))
  using work = new Workplace()
  const messages = [
    { role: "user", content: "A poem." },
    { role: "assistant", content: "Roses are" },
  ]
  const lines = [{}, { continue_final_message: true }, { add_generation_prompt: false }]
  writeFileSync(
    work.path("in.jsonl"),
    lines.map((more) => JSON.stringify({ messages, ...more })).join("\n"),
  )
  const args = ["run", "--url", server.url, "--batch", "in.jsonl", "-o", "out.jsonl"]
  expect(await work.run(args)).toMatchObject({ code: 0 })
  expect(readFileSync(work.path("out.jsonl"), "utf8").match(/ red/g)).toHaveLength(3)
  const [plain, continued, open] = server.requests
  for (const field of ["continue_final_message", "add_generation_prompt"])
    expect(plain).not.toHaveProperty(field)
  expect(continued).toMatchObject({ continue_final_message: true, add_generation_prompt: false })
  expect(continued?.messages.at(-1)).toMatchObject({ content: "Roses are", prefix: true })
  expect(open).toMatchObject({ add_generation_prompt: false })
  expect(open).not.toHaveProperty("continue_final_message")
})
