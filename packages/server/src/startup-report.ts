// The lines that the server prints on stderr while it starts.
import type { ServeOptions, ServerSettings } from "./settings.ts"
import type { LoadedModel } from "./serving/load-model.ts"

export function print(line: string): void {
  process.stderr.write(`${line}\n`)
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`
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
  print(
    `memory   ${gib(process.memoryUsage.rss())} resident; on the CPU, ${options.numerics} numerics`,
  )
  print(`experts  ${experts}`)
}
