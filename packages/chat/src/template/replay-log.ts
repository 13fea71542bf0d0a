// Sampled call blocks in a file, so that agents' conversations go on after a restart as they were
// sampled. One line for each turn: a checksum and JSON. A line that is torn or damaged is passed
// over.
import { appendFile, chmod, readFile, rename, stat } from "node:fs/promises"
import type { Tokenizer } from "@ds4/tokenizer"
import type { ReplayLine } from "./replay.ts"

interface ReplayLogOptions {
  /** A second file beside it has ".old" behind its name. */
  readonly path: string
  /** Lines whose ids do not spell their text were written for another vocabulary. */
  readonly tokenizer: Pick<Tokenizer, "decode">
  /** Told of a file that cannot be read or written, once. */
  readonly log?: (line: string) => void
  /** A file that is longer when it is opened becomes the old one; default 32 MiB. */
  readonly maxBytes?: number
}

const MAX_BYTES = 32 * 2 ** 20
const PRIVATE = 0o600

const checksum = (json: string): string => Bun.hash.xxHash3(json).toString(16).padStart(16, "0")

export class ReplayLog {
  private writing: Promise<void> = Promise.resolve()
  private isBroken = false

  private constructor(
    private readonly options: ReplayLogOptions,
    /** The lines of the files, the oldest first. Whoever takes them leaves none. */
    private found: ReplayLine[],
  ) {}

  static async open(options: ReplayLogOptions): Promise<ReplayLog> {
    const { path, maxBytes = MAX_BYTES } = options
    const old = `${path}.old`
    const log = new ReplayLog(options, [])
    const size = await stat(path).then(
      (status) => status.size,
      () => 0,
    )
    log.found = [...(await log.read(old)), ...(await log.read(path))]
    if (size > maxBytes) await rename(path, old).catch((error: unknown) => log.tell(error))
    return log
  }

  takeLines(): ReplayLine[] {
    return this.found.splice(0)
  }

  private async read(path: string): Promise<ReplayLine[]> {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if ((error as { code?: unknown }).code !== "ENOENT") this.tell(error)
      return ""
    })
    return text.split("\n").flatMap((line) => {
      const read = readLine(line)
      if (read === undefined) return []
      const { tokens, text: spelled } = read.block
      return this.options.tokenizer.decode(tokens) === spelled ? [read] : []
    })
  }

  /** Adds a line in the background. A disk that fails is told, and nothing more is written. */
  append(line: ReplayLine): void {
    const json = JSON.stringify(line)
    this.writing = this.writing.then(() => this.write(`${checksum(json)} ${json}\n`))
  }

  private async write(line: string): Promise<void> {
    if (this.isBroken) return
    try {
      await appendFile(this.options.path, line, { mode: PRIVATE })
      await chmod(this.options.path, PRIVATE)
    } catch (error) {
      this.isBroken = true
      this.tell(error)
    }
  }

  private tell(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error)
    this.options.log?.(`sampled calls do not outlast this process: ${text}`)
  }

  /** Waits for the lines that were added. */
  async flush(): Promise<void> {
    await this.writing
  }
}

function readLine(line: string): ReplayLine | undefined {
  const json = line.slice(17)
  if (json === "" || line[16] !== " " || line.slice(0, 16) !== checksum(json)) return undefined
  try {
    const value: unknown = JSON.parse(json)
    return isReplayLine(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null
const isText = (value: unknown): value is string => typeof value === "string"

/** Whether a value has the shape of a line: a file may say anything. */
function isReplayLine(value: unknown): value is ReplayLine {
  if (!isRecord(value) || !isRecord(value["block"])) return false
  const { ids, block } = value
  const { lead, text, tokens, calls } = block as Record<string, unknown>
  return (
    Array.isArray(ids) &&
    ids.every(isText) &&
    isText(lead) &&
    isText(text) &&
    Array.isArray(tokens) &&
    tokens.every((id) => Number.isInteger(id) && id >= 0) &&
    Array.isArray(calls) &&
    calls.length === ids.length &&
    calls.every((call) => isRecord(call) && isText(call["name"]) && isText(call["arguments"]))
  )
}
