// The server as a process of its own, over models/tiny: random weights, whose answers seldom end by
// themselves.
import { existsSync } from "node:fs"
import { join } from "node:path"

const ROOT = join(import.meta.dir, "../../../..")
export const TINY = join(ROOT, "models/tiny")

/** The built library. A program that is told its path builds nothing. */
export const LIBRARY = join(ROOT, "native/dist/libds4.so")

/** Files that these tests need and that are not there; they are skipped then. */
export const LACKING: readonly string[] = [LIBRARY, join(TINY, "config.json")].filter(
  (path) => !existsSync(path),
)

export const MAIN = join(import.meta.dir, "../main.ts")

const FLAGS = ["--port", "0", "-m", TINY, "--ctx", "4096", "--kv-disk-dir", "none"]

export interface Running {
  process: Bun.Subprocess<"ignore", "pipe", "pipe">
  url: string
  printed: () => string
}

/** Starts main.ts on a free port and waits until it prints its address. */
export async function start(...flags: string[]): Promise<Running> {
  const child = Bun.spawn([process.execPath, MAIN, ...FLAGS, ...flags], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  let printed = ""
  const found = Promise.withResolvers<string>()
  void (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) {
      printed += decoder.decode(chunk, { stream: true })
      const url = /serving +(http:\S+)/.exec(printed)?.[1]
      if (url !== undefined) found.resolve(url)
    }
    found.reject(new Error(`the server ended: ${printed}`))
  })()
  return { process: child, url: await found.promise, printed: () => printed }
}

export async function waitReady(url: string): Promise<string[]> {
  const seen: string[] = []
  for (;;) {
    const response = await fetch(`${url}/health`)
    const { status } = (await response.json()) as { status: string }
    if (!seen.includes(status)) seen.push(status)
    if (response.status === 200) return seen
    if (status === "failed") throw new Error("the model could not be loaded")
    await Bun.sleep(5)
  }
}
