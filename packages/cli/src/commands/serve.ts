import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { defineCommand } from "../command.ts"
import { EXIT, type ExitCode } from "../errors.ts"

/** The server's own entry: cli may not import the server, it starts it. */
function serverMain(): string {
  return join(dirname(fileURLToPath(import.meta.resolve("@ds4/server"))), "main.ts")
}

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const

export const serve = defineCommand({
  name: "serve",
  usage: "[FLAGS]",
  summary: "serves the OpenAI and Anthropic interfaces over HTTP",
  examples: ["ds4 serve", "ds4 serve -m flash.gguf --host 0.0.0.0 --port 8000 --api-key secret"],
  maxPositionals: 0,
  // The options were read, so that a mistake shows before anything is built. The server reads the
  // same words, variables and file again.
  run: async ({ words, io, prepareNative }) => {
    prepareNative()
    // Its own process group: a terminal's Ctrl+C would reach it besides the signal passed on, and
    // two signals end it at once. The channel carries nothing: it breaks when this process is
    // killed, which ends the server, too.
    const server = Bun.spawn([process.execPath, serverMain(), ...words], {
      env: io.environment,
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
