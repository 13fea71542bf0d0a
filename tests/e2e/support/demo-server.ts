// `ds4 serve` as a person starts it, with the model that it takes when none is named.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url))

/** A folder that is home and working folder of ds4 commands, without a model named anywhere. */
export class DemoHome implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "ds4-demo-"))
  private readonly environment = {
    PATH: process.env.PATH ?? "",
    HOME: this.folder,
    DS4_LIBRARY: join(ROOT, "native/dist/libds4.so"),
    BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
  }

  /** @param under a command that runs the rest of its arguments, such as unshare */
  async ds4(
    args: readonly string[],
    input = "",
    under: readonly string[] = [],
  ): Promise<{ code: number; out: string; err: string }> {
    const child = Bun.spawn([...under, join(ROOT, "ds4"), ...args], {
      cwd: this.folder,
      env: this.environment,
      stdin: new TextEncoder().encode(input),
      stdout: "pipe",
      stderr: "pipe",
    })
    const [code, out, err] = await Promise.all([
      child.exited,
      child.stdout.text(),
      child.stderr.text(),
    ])
    return { code, out, err }
  }

  /** Starts a server, on a free port unless told otherwise; resolves when the model is ready. */
  async serve(command = [join(ROOT, "ds4"), "serve", "--port", "0"]): Promise<DemoServer> {
    const child = Bun.spawn(command, {
      cwd: this.folder,
      env: this.environment,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    })
    const ready = Promise.withResolvers<DemoServer>()
    void (async () => {
      let said = ""
      for await (const bytes of child.stderr) {
        said += new TextDecoder().decode(bytes)
        const url = /(http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1]
        if (url !== undefined && /^ready/m.test(said))
          ready.resolve(new DemoServer(url, said, child))
      }
      ready.reject(new Error(`the server ended: ${said}`))
    })()
    return await ready.promise
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export class DemoServer {
  constructor(
    readonly url: string,
    /** The text that it printed until it was ready. */
    readonly said: string,
    private readonly child: Bun.Subprocess,
  ) {}

  async stop(): Promise<void> {
    this.child.kill("SIGKILL")
    await this.child.exited
  }
}
