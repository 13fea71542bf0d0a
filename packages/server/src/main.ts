// Flags → settings → listen → load. The port answers /health while the model is still loading.
import { EngineError, expertOptions, expertsText, loadModel, type LoadProgress } from "@ds4/engine"
import { detectEffortTable } from "@ds4/chat"
import { ModelFileError } from "@ds4/model-file"
import { createApp } from "./app.ts"
import { parseServeOptions, serveHelp, type ServeOptions, UsageError } from "./flags.ts"
import { isLoopbackAddress } from "./http/guards.ts"
import { SILENT_LOG, stderrLog } from "./http/request-log.ts"
import { BackgroundEncoder } from "./serving/background-encoder.ts"
import { RequestRegistry } from "./serving/request-registry.ts"
import { type ServedModel, ServingState } from "./serving/serving-state.ts"
import { Statistics } from "./serving/statistics.ts"
import { DEFAULT_SETTINGS, type ServerSettings } from "./settings.ts"
import { shutDown } from "./serving/shutdown.ts"

/** Context of a session where no --ctx is given and the model allows more. */
const DEFAULT_CONTEXT_TOKENS = 32_768

const EXIT = { done: 0, failed: 1, usage: 2, model: 3, memory: 4, interrupted: 130 } as const

async function settingsOf(options: ServeOptions): Promise<ServerSettings> {
  const keyFile = options["api-key-file"]
  const apiKey =
    options["api-key"] ??
    (keyFile === undefined ? undefined : (await Bun.file(keyFile).text()).split("\n")[0]?.trim())
  if (apiKey === "") throw new UsageError(`the API key in ${keyFile ?? "--api-key"} is empty`)
  return {
    access: {
      apiKey,
      isLoopback: options.unix !== undefined || isLoopbackAddress(options.host),
      allowedHosts: options["allow-host"],
      corsAnyOrigin: options.cors,
      corsOrigins: options["cors-origin"],
    },
    maxBodyBytes: options["max-body"],
    admission: { parallel: options.parallel, maxQueue: options["max-queue"] },
    timing: {
      keepAliveMs: options["keepalive-seconds"] * 1000,
      frameIntervalMs: DEFAULT_SETTINGS.timing.frameIntervalMs,
      stallMs: options["stall-seconds"] * 1000,
    },
    answers: {
      maxTokens: options["max-tokens"],
      isThinking: !options["no-think"],
      effort: options.effort,
      reasoningBudget: options["reasoning-budget"],
      keepsReasoning: options["keep-reasoning"] === "cache",
      template: options.template,
      strictTools: options["strict-tools"],
      toolZones: options["tool-sampling"] === "zones",
      strictModel: options["strict-model"],
    },
    toolMemoryMaxIds: options["tool-memory-max-ids"],
  }
}

/** A loaded model, and where its experts run. */
interface Loaded {
  readonly model: ServedModel
  readonly experts: string
}

async function load(
  options: ServeOptions,
  onLoad: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<Loaded> {
  const path = options.model === undefined || options.model === "demo" ? undefined : options.model
  const chunk = options["prefill-chunk"]
  const { file, tokenizer, engine } = await loadModel(path, {
    numerics: options.numerics,
    threads: options.threads,
    isa: options.isa,
    maxSessions: options.parallel,
    maxQueue: options["max-queue"],
    contextTokens: options.ctx ?? DEFAULT_CONTEXT_TOKENS,
    experts: expertOptions(options),
    onLoad,
    signal,
    ...(chunk === undefined ? {} : { maxStepTokens: chunk }),
  })
  const { name } = engine.model
  const id = options["model-id"] ?? (name.toLowerCase().replace(/[^a-z0-9._-]+/g, "-") || "model")
  const hints = [
    name,
    engine.model.path,
    ...["general.name", "general.version"].flatMap((key) => {
      const value = file.metadata.get(key)
      return typeof value === "string" ? [value] : []
    }),
  ]
  const background = new BackgroundEncoder(engine.model.path)
  const model: ServedModel = {
    id,
    engine,
    tokenizer,
    background,
    effortTable: detectEffortTable(hints).table,
    created: Math.floor(Date.now() / 1000),
    fingerprint: `ds4-${options.numerics}`,
  }
  return { model, experts: expertsText(engine.describe()) }
}

function print(line: string): void {
  process.stderr.write(`${line}\n`)
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`
}

function printModel({ model: { id, engine }, experts }: Loaded, options: ServeOptions): void {
  const { name, contextTokens, path, description } = engine.model
  print(`model    ${name} (${id}), ${path}`)
  if (description !== "") print(`         ${description}`)
  print(
    `context  ${contextTokens} tokens, ${options.parallel} sessions at once, ` +
      `${options["max-queue"]} may wait`,
  )
  print(
    `memory   ${gib(process.memoryUsage.rss())} resident; on the CPU, ${options.numerics} numerics`,
  )
  print(`experts  ${experts}`)
}

/** Exit code of a failed load. */
function loadExitCode(error: unknown): number {
  if (error instanceof EngineError && error.code === "DEVICE_MEMORY") return EXIT.memory
  return error instanceof ModelFileError || error instanceof EngineError ? EXIT.model : EXIT.failed
}

/**
 * Serves until a signal ends it; resolves to the exit code. SIGINT or SIGTERM drains, a second one
 * ends the process at once.
 */
export async function main(argv: readonly string[]): Promise<number> {
  let options: ServeOptions
  let settings: ServerSettings
  try {
    options = parseServeOptions(argv, process.env)
    if (options.help) {
      process.stdout.write(serveHelp())
      return EXIT.done
    }
    settings = await settingsOf(options)
  } catch (error) {
    print(error instanceof Error ? error.message : String(error))
    return error instanceof UsageError ? EXIT.usage : EXIT.failed
  }
  return serve(options, settings)
}

async function serve(options: ServeOptions, settings: ServerSettings): Promise<number> {
  const state = new ServingState()
  const registry = new RequestRegistry(settings.admission)
  const log = options.quiet ? SILENT_LOG : stderrLog(options["log-format"])
  const app = createApp({ state, settings, registry, statistics: new Statistics(), log })
  try {
    app.listen(
      options.unix === undefined
        ? { hostname: options.host, port: options.port }
        : { unix: options.unix },
    )
  } catch (error) {
    print(
      `cannot listen on ${options.unix ?? `${options.host}:${options.port}`}: ` +
        `${error instanceof Error ? error.message : String(error)}`,
    )
    return EXIT.failed
  }
  const url = options.unix ?? app.server?.url.href.replace(/\/$/, "") ?? ""
  print(`serving  ${url}  (API page ${url}/swagger)`)
  if (!settings.access.isLoopback && settings.access.apiKey === undefined) {
    print("warning  anyone who can reach this address can use the model; set --api-key")
  }
  const ended = waitForSignal()
  const loading = new AbortController()
  const onLoad = ({ doneBytes, totalBytes }: LoadProgress): void => {
    state.progress = doneBytes / totalBytes
  }
  const loaded = load(options, onLoad, loading.signal).then(
    (result) => {
      state.ready(result.model)
      printModel(result, options)
      print("ready")
      return undefined
    },
    (error: unknown) => ({ error }),
  )
  const failure = await Promise.race([ended, loaded.then((result) => result ?? ended)])
  if (failure !== undefined) {
    const { error } = failure
    state.fail(error instanceof Error ? error.message : String(error))
    print(`cannot load the model: ${error instanceof Error ? error.message : String(error)}`)
    await app.stop(true)
    return loadExitCode(error)
  }
  print("draining")
  loading.abort() // a load that is still running ends at its next layer
  await shutDown(app, state, registry, options["drain-seconds"] * 1000)
  return EXIT.done
}

/**
 * Resolves at the first SIGINT, SIGTERM or SIGHUP, or when the process that started this one is
 * gone; the second signal ends it.
 */
function waitForSignal(): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  let count = 0
  const onSignal = () => {
    if (++count > 1) process.exit(EXIT.interrupted)
    resolve(undefined)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  process.on("SIGHUP", onSignal)
  process.on("disconnect", () => resolve(undefined))
  return promise
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
