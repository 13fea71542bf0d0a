import { defaultOptions } from "@ds4/options"
import { type App, createApp } from "./app.ts"
import { readApiKeys } from "./http/api-key.ts"
import { SILENT_LOG } from "./http/request-log.ts"
import { loadServedModel } from "./serving/load-model.ts"
import { RequestRegistry } from "./serving/request-registry.ts"
import { ServingState } from "./serving/serving-state.ts"
import { shutDown } from "./serving/shutdown.ts"
import { Statistics } from "./serving/statistics.ts"
import { type ServeOptions, settingsOf } from "./settings.ts"

export interface OpenedApp {
  readonly app: App
  /** Lets running requests finish for `drain-seconds`, then closes port and engine. */
  readonly close: () => Promise<void>
}

/**
 * The application over a loaded model, for programs that embed it: mount `app.handle`, or call
 * `app.listen`. Options are those of `ds4 serve`; neither variables nor ds4.toml are read. Rejects
 * with EngineError or ModelFileError.
 */
export async function openApp(given: Partial<ServeOptions> = {}): Promise<OpenedApp> {
  // A program's conversations go to disk where it says so, and nowhere else.
  const options: ServeOptions = { ...defaultOptions("serve"), "kv-disk-dir": "none", ...given }
  const settings = settingsOf(options, await readApiKeys(options))
  const state = new ServingState()
  const registry = new RequestRegistry(settings.admission)
  const statistics = new Statistics()
  const app = createApp({ state, settings, registry, statistics, log: SILENT_LOG })
  const { model } = await loadServedModel(
    options,
    () => {},
    new AbortController().signal,
    () => {},
  )
  state.ready(model)
  const drainMs = options["drain-seconds"] * 1000
  return { app, close: () => shutDown(app, state, registry, drainMs) }
}
