// Measures the first minutes on a bare machine, with a clean clone and an empty home. Prints the
// seconds from `./ds4 serve` to the first token of a request, with ninja and with make.
// Usage: bun scripts/first-token.ts [ninja] [make] [--npx]
//   --npx  hides bun, so that ./ds4 fetches it as well
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const GENERATORS = ["ninja", "make"] as const
type Generator = (typeof GENERATORS)[number]

/** Seconds since the start of `./ds4 serve`. */
interface Timing {
  generator: Generator
  listening: number
  firstToken: number
  /** Longest time without a sign of life on stderr before the server listens. */
  longestSilence: number
}

/** A folder with links to every program on PATH but the hidden ones. */
function pathWithout(hidden: ReadonlySet<string>, folder: string): string {
  mkdirSync(folder)
  for (const from of (process.env.PATH ?? "").split(":")) {
    if (!existsSync(from)) continue
    for (const name of readdirSync(from))
      if (!hidden.has(name) && !existsSync(join(folder, name)))
        symlinkSync(join(from, name), join(folder, name))
  }
  return folder
}

/** The environment of somebody who has just logged in: no cache, no settings of this project. */
function bareEnvironment(home: string, path: string): Record<string, string> {
  mkdirSync(home)
  // where packages come from belongs to the machine
  const registry = join(homedir(), ".npmrc")
  if (existsSync(registry)) copyFileSync(registry, join(home, ".npmrc"))
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:DS4_|XDG_|BUN_|CCACHE_|CMAKE_|TURBO_)|^(?:HOME|PATH)$/.test(name),
  ) as [string, string][]
  return { ...Object.fromEntries(kept), HOME: home, PATH: path }
}

/** Seconds until a streamed answer has content; polls while nothing listens. */
async function firstToken(port: number, since: () => number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      messages: [{ role: "user", content: "hello" }],
      stream: true,
      max_tokens: 5,
    }),
  })
  if (response.body === null) throw new Error(`no answer: status ${response.status}`)
  const decoder = new TextDecoder()
  let text = ""
  for await (const bytes of response.body) {
    text += decoder.decode(bytes, { stream: true })
    if (/"(?:content|reasoning_content)":"[^"]/.test(text)) return since()
  }
  throw new Error(`the answer has no content: ${text}`)
}

async function isListening(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`)).ok
  } catch {
    return false // refused: the server is not there yet
  }
}

/** A port that was free a moment ago. */
function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() })
  const port = server.port ?? 0
  void server.stop(true)
  return port
}

async function measure(generator: Generator, hidesBun: boolean): Promise<Timing> {
  const folder = mkdtempSync(join(tmpdir(), "ds4-first-token-"))
  const hidden = new Set(generator === "make" ? ["ninja", "ninja-build"] : [])
  if (hidesBun) for (const name of ["bun", "bunx"]) hidden.add(name)
  const env = bareEnvironment(join(folder, "home"), pathWithout(hidden, join(folder, "bin")))
  const clone = join(folder, "ds4")
  const git = Bun.spawnSync(["git", "clone", "-q", "--depth", "1", `file://${ROOT}`, clone])
  if (git.exitCode !== 0) throw new Error(git.stderr.toString())
  const port = freePort()
  const begunMs = performance.now()
  const since = () => (performance.now() - begunMs) / 1000
  const server = Bun.spawn(["./ds4", "serve", "--port", String(port)], {
    cwd: clone,
    env,
    stdio: ["ignore", "ignore", "pipe"],
  })
  let heardSeconds = 0
  let longestSilence = 0
  const listening = (async () => {
    for await (const bytes of server.stderr) {
      process.stderr.write(bytes)
      longestSilence = Math.max(longestSilence, since() - heardSeconds)
      heardSeconds = since()
    }
  })()
  try {
    while (!(await isListening(port))) {
      if (server.exitCode !== null) throw new Error(`./ds4 serve ended with ${server.exitCode}`)
      await Bun.sleep(50)
    }
    const ready = since()
    const token = await firstToken(port, since)
    return { generator, listening: ready, firstToken: token, longestSilence }
  } finally {
    server.kill()
    await server.exited
    await listening
    rmSync(folder, { recursive: true, force: true })
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { npx: { type: "boolean" } },
})
const chosen = GENERATORS.filter((name) => positionals.length === 0 || positionals.includes(name))
console.log("seconds     listens  first token  longest silence")
for (const generator of chosen) {
  const timing = await measure(generator, values.npx === true)
  const cell = (seconds: number, width: number) => seconds.toFixed(1).padStart(width)
  console.log(
    `${generator.padEnd(9)}${cell(timing.listening, 10)}${cell(timing.firstToken, 13)}` +
      `${cell(timing.longestSilence, 17)}`,
  )
}
