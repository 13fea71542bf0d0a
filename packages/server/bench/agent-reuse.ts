// Runs a coding agent against a scripted model that calls its shell many times. It prints how many
// prompt tokens were read again that an earlier request had read or written.
// Usage: bun bench/agent-reuse.ts TURNS COMMAND [ARGUMENT...]
// The command finds the server's address in DS4_URL and points the agent there.
import type { GenerateEvent, GenerateRequest } from "@ds4/engine"
import { toolBlock } from "@ds4/chat/testing"
import { listen } from "../src/testing/harness.ts"

const [turnText = "60", ...command] = process.argv.slice(2)
const turns = Number(turnText)
if (!Number.isInteger(turns) || command.length === 0) {
  console.error("usage: bun bench/agent-reuse.ts TURNS COMMAND [ARGUMENT...]")
  process.exit(2)
}

let calls = 0

/** Arguments of the agent's own shell tool, by its name. */
function shellCall(names: readonly string[], line: string) {
  const forms: Readonly<Record<string, object>> = {
    shell: { command: ["bash", "-lc", line] },
    exec_command: { cmd: line },
    Bash: { command: line, description: "Print lines" },
    bash: { command: line, description: "Print lines" },
  }
  const name = names.find((each) => each in forms)
  return name === undefined ? undefined : { name, arguments: forms[name] ?? {} }
}

function script({ toolNames, thinkCloseToken }: GenerateRequest): string {
  const thought = thinkCloseToken === undefined ? "" : "One more step.</think>"
  if (toolNames === undefined) return `${thought}Fine.`
  if (++calls > turns) return `${thought}All is done.`
  const call = shellCall(toolNames, `seq ${calls} ${calls + 40}`)
  if (call === undefined) return `${thought}No shell among ${toolNames.join(", ")}.`
  return `${thought}Reading on, ${calls}.${toolBlock(call as Parameters<typeof toolBlock>[0])}`
}

const server = listen({ script, contextTokens: 2_000_000, batchTokens: 64 })
const known: Int32Array[] = []
const totals = { requests: 0, prompt: 0, again: 0 }

function commonLength(a: Int32Array, b: Int32Array): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return length
}

const generate = server.engine.generate.bind(server.engine)
server.engine.generate = async function* (request): AsyncGenerator<GenerateEvent> {
  const prompt = Int32Array.from(request.promptTokens)
  const readBefore = Math.max(0, ...known.map((each) => commonLength(each, prompt)))
  const made: number[] = []
  let cached = 0
  for await (const event of generate(request)) {
    if (event.type === "tokens") made.push(...event.tokens.map(({ id }) => id))
    if (event.type === "end") cached = event.usage.cachedTokens
    yield event
  }
  known.push(Int32Array.from([...prompt, ...made]))
  totals.requests++
  totals.prompt += prompt.length
  totals.again += Math.max(0, Math.min(readBefore, prompt.length - 1) - cached)
}

const agent = Bun.spawn(command, {
  env: { ...process.env, DS4_URL: server.url },
  stdin: "ignore",
  stdout: "inherit",
  stderr: "inherit",
})
const status = await agent.exited
await server.stop()
const { requests, prompt, again } = totals
console.log(
  `${requests} requests, ${calls} turns, ${prompt} prompt tokens, ${again} read again ` +
    `(${((100 * again) / Math.max(1, prompt)).toFixed(4)}%); the agent ended with ${status}`,
)
