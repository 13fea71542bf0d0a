// A conversation of two turns, streamed. The second turn goes on with the first one's session.
// Usage: bun examples/chat.ts [MODEL]
import { type Message, open } from "@ds4/chat"

await using chat = await open(process.argv[2]) // default: the embedded model
const messages: Message[] = []

for (const question of ["What is ds4?", "What is 17 + 25?"]) {
  console.log(`> ${question}`)
  messages.push({ role: "user", content: question })
  for await (const event of chat.answer({ messages, sampling: { temperature: 0 } })) {
    if (event.type === "text") process.stdout.write(event.text)
    if (event.type !== "finish") continue
    messages.push(event.message)
    const { promptTokens, cachedTokens, completionTokens } = event.usage
    console.log(`\n  ${promptTokens} tokens in (${cachedTokens} cached), ${completionTokens} out`)
  }
}
