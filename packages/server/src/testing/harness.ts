// A whole server over the scripted engine, with or without a port.
import type { GenerateRequest } from "@ds4/engine"
import { type FakeEngine, fakeEngine, type FakeScript } from "@ds4/engine/testing"
import { Chat } from "@ds4/chat"
import { defaultOptions } from "@ds4/options"
import { type App, createApp } from "../app.ts"
import type { RequestLine } from "../http/request-log.ts"
import { servedMemory } from "../serving/load-model.ts"
import { RequestRegistry } from "../serving/request-registry.ts"
import { ServingState } from "../serving/serving-state.ts"
import { Statistics } from "../serving/statistics.ts"
import { settingsOf, type ServerSettings } from "../settings.ts"
import { byteTokenizer } from "@ds4/tokenizer/testing"

const tokenizer = byteTokenizer()

interface HarnessOptions {
  /** The model's answer; its text may hold control strings. */
  script?: (request: GenerateRequest) => FakeScript
  /** Milliseconds per token. */
  tokenMs?: number
  /** Tokens of one engine event. */
  batchTokens?: number
  /** Milliseconds that the prompt takes. */
  prefillMs?: number
  contextTokens?: number
  /** States are kept on disk; default true. */
  hasDisk?: boolean
  settings?: (defaults: ServerSettings) => void
  isLoading?: boolean
}

export interface Harness {
  app: App
  state: ServingState
  registry: RequestRegistry
  statistics: Statistics
  lines: RequestLine[]
  /** Lines of the log about the server itself. */
  notes: string[]
  engine: FakeEngine
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>
  get(path: string, headers?: Record<string, string>): Promise<Response>
}

export function harness(options: HarnessOptions = {}): Harness {
  const settings = settingsOf(defaultOptions("serve"), undefined)
  settings.timing.frameIntervalMs = 0
  options.settings?.(settings)
  const engine = scriptedEngine(options, settings)
  const state = new ServingState()
  const memory = servedMemory(settings.toolMemoryMaxIds)
  const chat = new Chat({ engine, tokenizer, memory })
  if (options.isLoading !== true)
    state.ready({ id: "test-model", chat, created: 1_767_225_600, fingerprint: "fp" })
  const registry = new RequestRegistry(settings.admission)
  const statistics = new Statistics()
  const lines: RequestLine[] = []
  const notes: string[] = []
  const log = {
    write: (line: RequestLine) => void lines.push(line),
    note: (text: string) => void notes.push(text),
  }
  const app = createApp({ state, settings, registry, statistics, log })
  return { app, state, registry, statistics, lines, notes, engine, ...callers(app) }
}

function scriptedEngine(options: HarnessOptions, { admission }: ServerSettings): FakeEngine {
  return fakeEngine({
    tokenizer,
    script: (request) => options.script?.(request) ?? "Hello world",
    maxSessions: admission.parallel,
    batchMs: options.tokenMs ?? 0,
    batchTokens: options.batchTokens ?? 1,
    prefillMs: options.prefillMs ?? 0,
    hasDisk: options.hasDisk ?? true,
    model: { contextTokens: options.contextTokens ?? 100_000 },
  })
}

function callers(app: App): Pick<Harness, "post" | "get"> {
  const call = (path: string, init: RequestInit) =>
    app.handle(new Request(`http://localhost${path}`, init))
  return {
    post: (path, body, headers) =>
      call(path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    get: (path, headers) => call(path, { headers: { ...headers } }),
  }
}

export interface Listening extends Harness {
  url: string
  stop(): Promise<void>
}

/** The same on a port of its own. */
export function listen(options: HarnessOptions = {}): Listening {
  const made = harness(options)
  void made.app.listen({ hostname: "127.0.0.1", port: 0 })
  return {
    ...made,
    url: `http://127.0.0.1:${made.app.server?.port ?? 0}`,
    stop: async () => void (await made.app.stop(true)),
  }
}

/** Waits until `condition` holds, at most `limitMs`. */
export async function until(condition: () => boolean, limitMs = 20_000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > deadline)
      throw new Error(`the condition did not hold within ${limitMs} ms`)
    await Bun.sleep(2)
  }
}
