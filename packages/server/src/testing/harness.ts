// A whole server over the scripted engine, with or without a port.
import type { GenerateRequest } from "@ds4/engine"
import { type FakeEngine, fakeEngine, type FakeScript } from "@ds4/engine/testing"
import { Chat } from "@ds4/chat"
import { type App, createApp } from "../app.ts"
import type { RequestLine } from "../http/request-log.ts"
import { servedMemory } from "../serving/load-model.ts"
import { RequestRegistry } from "../serving/request-registry.ts"
import { ServingState } from "../serving/serving-state.ts"
import { Statistics } from "../serving/statistics.ts"
import { DEFAULT_SETTINGS, type ServerSettings } from "../settings.ts"
import { byteTokenizer } from "@ds4/tokenizer/testing"

export const tokenizer = byteTokenizer()

export interface HarnessOptions {
  /** What the model says; text may hold control strings. */
  script?: (request: GenerateRequest) => FakeScript
  /** Milliseconds per token. */
  tokenMs?: number
  /** Tokens of one engine event. */
  batchTokens?: number
  /** Milliseconds that the prompt takes. */
  prefillMs?: number
  contextTokens?: number
  settings?: (defaults: ServerSettings) => void
  isLoading?: boolean
}

export interface Harness {
  app: App
  state: ServingState
  registry: RequestRegistry
  statistics: Statistics
  lines: RequestLine[]
  engine: FakeEngine
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>
  get(path: string, headers?: Record<string, string>): Promise<Response>
}

export function harness(options: HarnessOptions = {}): Harness {
  const settings = structuredClone(DEFAULT_SETTINGS)
  settings.timing.frameIntervalMs = 0
  options.settings?.(settings)
  const engine = fakeEngine({
    tokenizer,
    script: (request) => options.script?.(request) ?? "Hello world",
    maxSessions: settings.admission.parallel,
    batchMs: options.tokenMs ?? 0,
    batchTokens: options.batchTokens ?? 1,
    prefillMs: options.prefillMs ?? 0,
    model: { contextTokens: options.contextTokens ?? 100_000 },
  })
  const state = new ServingState()
  const model = {
    id: "test-model",
    chat: new Chat({ engine, tokenizer, memory: servedMemory(settings.toolMemoryMaxIds) }),
    created: 1_767_225_600,
    fingerprint: "fp",
  }
  if (options.isLoading !== true) state.ready(model)
  const registry = new RequestRegistry(settings.admission)
  const statistics = new Statistics()
  const lines: RequestLine[] = []
  const app = createApp({
    state,
    settings,
    registry,
    statistics,
    log: { write: (line) => void lines.push(line) },
  })
  const headers = { "content-type": "application/json" }
  return {
    app,
    state,
    registry,
    statistics,
    lines,
    engine,
    post: (path, body, extra) =>
      app.handle(
        new Request(`http://localhost${path}`, {
          method: "POST",
          headers: { ...headers, ...extra },
          body: typeof body === "string" ? body : JSON.stringify(body),
        }),
      ),
    get: (path, extra) =>
      app.handle(new Request(`http://localhost${path}`, { headers: { ...extra } })),
  }
}

export interface Listening extends Harness {
  url: string
  stop(): Promise<void>
}

/** The same on a port of its own. */
export function listen(options: HarnessOptions = {}): Listening {
  const made = harness(options)
  made.app.listen({ hostname: "127.0.0.1", port: 0 })
  return {
    ...made,
    url: `http://127.0.0.1:${made.app.server?.port ?? 0}`,
    stop: async () => void (await made.app.stop(true)),
  }
}

/** Waits until `condition` holds, at most `limitMs`. */
export async function until(condition: () => boolean, limitMs = 2000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > deadline)
      throw new Error(`the condition did not hold within ${limitMs} ms`)
    await Bun.sleep(2)
  }
}
