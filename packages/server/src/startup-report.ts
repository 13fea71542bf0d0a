// The lines that the server prints on stderr while it starts.
import { contextNote } from "@ds4/engine"
import { formatBytes, Progress } from "@ds4/progress"
import type { ServeOptions, ServerSettings } from "./settings.ts"
import type { LoadedModel } from "./serving/load-model.ts"

export function print(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Shows on stderr how far loading is; nothing when quiet. */
export function loadingProgress(isQuiet: boolean): Progress {
  if (isQuiet) return new Progress(undefined)
  return new Progress({
    write: (text) => void process.stderr.write(text),
    isTerminal: process.stderr.isTTY && process.env["TERM"] !== "dumb",
    columns: () => process.stderr.columns || 80,
  })
}

export function printAddress(url: string, { access }: ServerSettings): void {
  print(`serving  ${url}  (API page ${url}/swagger)`)
  if (!access.isLoopback && access.apiKeys.length === 0)
    print("warning  anyone who can reach this address can use the model; set --api-key")
}

export function printModel(
  { model: { id, chat }, experts }: LoadedModel,
  options: ServeOptions,
): void {
  const { name, contextTokens, path, description } = chat.engine.model
  print(`model    ${name} (${id}), ${path}`)
  if (description !== "") print(`         ${description}`)
  print(
    `context  ${contextTokens} tokens, ${options.parallel} sessions at once, ` +
      `${options["max-queue"]} may wait`,
  )
  const { prefixCache, kvStore } = chat.engine.stats()
  print(`states   ${formatBytes(prefixCache.budgetBytes)} of memory for what prompts continue from`)
  if (kvStore !== undefined)
    print(
      `         ${formatBytes(kvStore.bytes)} of ${formatBytes(kvStore.budgetBytes)} on disk, ` +
        `${kvStore.checkpoints} checkpoints`,
    )
  const note = contextNote(options.ctx, chat.engine.model)
  if (note !== undefined) print(`         ${note}`)
  print(
    `memory   ${formatBytes(process.memoryUsage.rss())} in use; on the CPU, ` +
      `${options.numerics} numerics`,
  )
  print(`experts  ${experts}`)
}
