import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { defineCommand } from "../command.ts"
import { EXIT, type ExitCode } from "../errors.ts"
import { variableOf } from "../flags/registry.ts"

/** The server's own entry: cli may not import the server, it starts it. */
function serverMain(): string {
  return join(dirname(fileURLToPath(import.meta.resolve("@ds4/server"))), "main.ts")
}

/**
 * Settings of the configuration file as variables, where the environment does not set them already.
 */
function fileVariables(
  values: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const set = Object.entries(values).map(
    ([name, value]) =>
      [variableOf(name), Array.isArray(value) ? value.join(",") : String(value)] as const,
  )
  return Object.fromEntries(set.filter(([variable]) => environment[variable] === undefined))
}

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const

export const serve = defineCommand({
  name: "serve",
  usage: "[FLAGS]",
  summary: "serves the OpenAI and Anthropic interfaces over HTTP",
  examples: ["ds4 serve", "ds4 serve -m flash.gguf --host 0.0.0.0 --port 8000 --api-key secret"],
  flags: [],
  maxPositionals: 0,
  passesArguments: true,
  run: async ({ io, positionals, configFile, prepareNative }) => {
    const isHelp = positionals.includes("--help") || positionals.includes("-h")
    if (!isHelp) prepareNative()
    const env = { ...fileVariables(configFile?.values ?? {}, io.environment), ...io.environment }
    // Its own process group: a terminal's Ctrl+C would reach it besides the signal passed on, and
    // two signals end it at once. The channel carries nothing: it breaks when this process is
    // killed, which ends the server, too.
    const server = Bun.spawn([process.execPath, serverMain(), ...positionals], {
      env,
      stdio: ["inherit", "inherit", "inherit"],
      detached: true,
      ipc: () => {},
    })
    const forward = (signal: NodeJS.Signals) => server.kill(signal)
    for (const signal of FORWARDED) process.on(signal, forward)
    const code = await server.exited
    for (const signal of FORWARDED) process.off(signal, forward)
    return exitCodeOfChild(code)
  },
})

function exitCodeOfChild(code: number): ExitCode {
  return Object.values(EXIT).find((known) => known === code) ?? EXIT.failed
}
