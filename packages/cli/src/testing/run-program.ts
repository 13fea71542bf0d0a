import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

// named, so that no test builds anything: the library is there before tests run
const LIBRARY = fileURLToPath(new URL("../../../../native/dist/libds4.so", import.meta.url))
/** Random weights: what they write seldom ends by itself and means nothing. */
export const TINY_MODEL = fileURLToPath(new URL("../../../../models/tiny", import.meta.url))
const ENTRY = fileURLToPath(new URL("../../bin/ds4.ts", import.meta.url))

interface ProgramResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A folder that is the home and working folder of commands, without a terminal. */
export class Workplace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "ds4-work-"))

  async run(
    args: readonly string[],
    options: {
      input?: string
      environment?: Readonly<Record<string, string>>
      /** A file that takes standard output; `out` is then empty. */
      outputFile?: string
    } = {},
  ): Promise<ProgramResult> {
    const child = Bun.spawn([process.execPath, ENTRY, ...args], {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: this.folder,
        BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
        DS4_LIBRARY: LIBRARY,
        ...options.environment,
      },
      stdin: new TextEncoder().encode(options.input ?? ""),
      stdout: options.outputFile === undefined ? "pipe" : Bun.file(options.outputFile),
      stderr: "pipe",
    })
    const [code, out, err] = await Promise.all([
      child.exited,
      child.stdout instanceof ReadableStream ? child.stdout.text() : "",
      child.stderr.text(),
    ])
    return { code, out, err }
  }

  /** Every file below the folder, relative to it. */
  files(): string[] {
    return readdirSync(this.folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.folder.length + 1))
      .toSorted()
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
