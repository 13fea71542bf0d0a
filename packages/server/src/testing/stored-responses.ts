// A server whose responses are stored and continued, and openai clients of it.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import OpenAI from "openai"
import { toolBlock } from "@ds4/chat/testing"
import type { ServerSettings } from "../settings.ts"
import { type Listening, listen } from "./harness.ts"

export const model = "test-model"
export const WEATHER = [
  { type: "function" as const, name: "weather", parameters: {}, strict: false },
]

const ends: (() => unknown)[] = []

/** Stops servers and removes folders; for `afterEach`. */
export async function endAll(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end()
}

interface Served {
  server: Listening
  client: OpenAI
  clientOf: (key: string) => OpenAI
}

/** It is stopped by `endAll`. */
export function serve(settings?: (defaults: ServerSettings) => void): Served {
  const server: Listening = listen({
    ...(settings === undefined ? {} : { settings }),
    script: ({ promptTokens, maxTokens }) => {
      const prompt = server.state.require().chat.tokenizer.decode(promptTokens)
      if (maxTokens === 7) return "Consider it at length, and then again."
      if (prompt.includes("<tool_result>")) return "It says sunny.</think>It is sunny."
      if (prompt.includes("weather?"))
        return `I should look.</think>Let me see.${toolBlock({
          name: "weather",
          arguments: { city: "Bern" },
        })}`
      return "Consider it.</think>The answer is 7."
    },
  })
  ends.push(() => server.stop())
  const clientOf = (apiKey: string) =>
    new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 })
  return { server, client: clientOf("any"), clientOf }
}

/** It is removed by `endAll`. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ds4-responses-"))
  ends.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The text of the prompt that the engine has been given last. */
export const lastPrompt = ({ server }: Served): string =>
  server.state.require().chat.tokenizer.decode(server.engine.requests.at(-1)?.promptTokens ?? [])

export const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "no error",
    (error: unknown) => error,
  )
