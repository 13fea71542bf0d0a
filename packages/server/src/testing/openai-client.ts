// The openai client on a server whose model thinks, and then answers by what was asked.
import OpenAI from "openai"
import { toolBlock } from "@ds4/chat/testing"
import { type Listening, listen } from "./harness.ts"

interface ClientAndServer {
  server: Listening
  client: OpenAI
}

/** A server on a port of its own; the caller stops it. */
export function listenWithClient(): ClientAndServer {
  const server = listen({
    script: (request) => {
      const prompt = server.state.require().chat.tokenizer.decode(request.promptTokens)
      if (prompt.includes("<tool_result>")) return "It says sunny.</think>It is sunny in Zürich ☀."
      if (prompt.includes("weather?"))
        return (
          "I should look.</think>Let me see." +
          toolBlock(
            { name: "weather", arguments: { city: 'Zü"rich\n☀', days: 3 } },
            { name: "weather", arguments: { city: "Bern" } },
          )
        )
      if (prompt.includes("fail"))
        return { text: "half an ans", error: new Error("the device is on fire") }
      if (prompt.includes("forever")) return "on and ".repeat(50_000)
      return prompt.endsWith("<think>")
        ? "Consider it.</think>The answer is 7."
        : "The answer is 7."
    },
  })
  return {
    server,
    client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 }),
  }
}

export const user = (content: string) => [{ role: "user" as const, content }]

/** The name of the served model. */
export const model = "test-model"
