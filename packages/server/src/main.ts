// Options → settings → listen → load. The port answers /health while the model is still loading.
import { EngineError, type LoadProgress } from "@ds4/engine"
import { ModelFileError } from "@ds4/model-file"
import { TokenizerError } from "@ds4/tokenizer"
import { effectiveOptions, helpOf, OptionError, parseArguments, withConfigFile } from "@ds4/options"
import { reportLoad } from "@ds4/progress"
import { type App, createApp } from "./app.ts"
import { readApiKeys } from "./http/api-key.ts"
import { stderrLog } from "./http/request-log.ts"
import { loadServedModel } from "./serving/load-model.ts"
import { RequestRegistry } from "./serving/request-registry.ts"
import { ServingState } from "./serving/serving-state.ts"
import { shutdownSignal } from "./serving/shutdown-signal.ts"
import { shutDown } from "./serving/shutdown.ts"
import { Statistics } from "./serving/statistics.ts"
import { type ServeOptions, type ServerSettings, settingsOf } from "./settings.ts"
import { loadingProgress, print, printAddress, printModel } from "./startup-report.ts"

const EXIT = { done: 0, failed: 1, usage: 2, model: 3, memory: 4, interrupted: 130 } as const

function serveHelp(): string {
  return helpOf({
    command: "serve",
    usage: "bun packages/server/src/main.ts [FLAGS]",
    summary: "serves the OpenAI and Anthropic interfaces over HTTP",
    examples: ["bun packages/server/src/main.ts -m flash.gguf --port 8000"],
  })
}

/** The options of the command line, the environment and ds4.toml; undefined: help was asked for. */
function readOptions(args: readonly string[]): ServeOptions | undefined {
  const { values, positionals, notes } = parseArguments(args, "serve")
  if (values.get("help") === true) return undefined
  const [extra] = positionals
  if (extra !== undefined)
    throw new OptionError(`unexpected argument "${extra}"; --help lists the flags`)
  const options = effectiveOptions("serve", withConfigFile(values, process.env))
  if (!options.quiet) for (const note of notes) print(note)
  return options
}

/**
 * Serves until a signal ends it; resolves to the exit code. SIGINT or SIGTERM drains, a second one
 * ends the process at once.
 */
export async function main(args: readonly string[]): Promise<number> {
  let options: ServeOptions | undefined
  let settings: ServerSettings
  try {
    options = readOptions(args)
    if (options === undefined) {
      process.stdout.write(serveHelp())
      return EXIT.done
    }
    settings = settingsOf(options, await readApiKeys(options))
  } catch (error) {
    print(messageOf(error))
    return error instanceof OptionError ? EXIT.usage : EXIT.failed
  }
  return serve(options, settings)
}

async function serve(options: ServeOptions, settings: ServerSettings): Promise<number> {
  const state = new ServingState()
  const registry = new RequestRegistry(settings.admission)
  const log = stderrLog(options["log-format"], options.quiet)
  const app = createApp({ state, settings, registry, statistics: new Statistics(), log })
  const fault = await listen(app, options)
  if (fault !== undefined) {
    print(fault)
    return EXIT.failed
  }
  const url = options.unix ?? app.server?.url.href.replace(/\/$/, "") ?? ""
  if (!options.quiet) printAddress(url, settings)
  // nobody else knows the port then
  else if (options.unix === undefined && options.port === 0) process.stdout.write(`${url}\n`)
  const ended = shutdownSignal(EXIT.interrupted)
  const loading = new AbortController()
  const loaded = load(state, options, loading.signal)
  const failure = await Promise.race([ended, loaded.then((result) => result ?? ended)])
  if (failure !== undefined) {
    state.fail()
    print(`cannot load the model: ${messageOf(failure.error)}`)
    await app.stop(true)
    return loadExitCode(failure.error)
  }
  if (!options.quiet) print("draining")
  loading.abort() // a load that is still running ends at its next layer
  await shutDown(app, state, registry, options["drain-seconds"] * 1000)
  return EXIT.done
}

/** Opens the port or the socket; returns why it cannot. */
async function listen(app: App, { unix, host, port }: ServeOptions): Promise<string | undefined> {
  try {
    await app.listen(unix === undefined ? { hostname: host, port } : { unix })
    return undefined
  } catch (error) {
    return `cannot listen on ${unix ?? `${host}:${port}`}: ${messageOf(error)}`
  }
}

/** Loads the model and makes the state ready; resolves to what went wrong, if anything. */
async function load(
  state: ServingState,
  options: ServeOptions,
  signal: AbortSignal,
): Promise<{ error: unknown } | undefined> {
  const progress = loadingProgress(options.quiet)
  const report = reportLoad(progress)
  const onLoad = (step: LoadProgress): void => {
    if (step.totalBytes > 0) state.progress = step.doneBytes / step.totalBytes
    report(step)
  }
  try {
    const loaded = await loadServedModel(options, onLoad, signal, print)
    progress.stop()
    state.ready(loaded.model)
    if (!options.quiet) {
      printModel(loaded, options)
      print("ready")
    }
    return undefined
  } catch (error) {
    return { error }
  } finally {
    progress.stop()
  }
}

/** Exit code of a failed load. */
function loadExitCode(error: unknown): number {
  if (error instanceof EngineError && error.code === "DEVICE_MEMORY") return EXIT.memory
  const isModel =
    error instanceof ModelFileError ||
    error instanceof TokenizerError ||
    error instanceof EngineError
  return isModel ? EXIT.model : EXIT.failed
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
