// Clients return calls as JSON, and rendering JSON seldom gives back the sampled bytes; one
// different byte costs the KV rows of everything after it. So the sampled block of each turn is
// kept under its call ids.
import { jsonNodesEqual, tryParseJsonNode } from "../json/json-node.ts"
import type { Segment, Tokenizer } from "@ds4/tokenizer"
import type { ToolCall } from "./conversation.ts"

export interface ReplayBlock {
  /**
   * Text at the start of the block whose token also holds the end of the content before it; may be
   * empty.
   */
  readonly lead: string
  /** The rest of the block as sampled, and exactly its tokens. */
  readonly text: string
  readonly tokens: readonly number[]
  /** The calls that were delivered to the client, in order. */
  readonly calls: readonly Pick<ToolCall, "name" | "arguments">[]
}

export type ReplayOrigin = "memory" | "disk"

interface ReplayHit {
  readonly segments: readonly Segment[]
  readonly origin: ReplayOrigin
}

export interface ToolReplayLimits {
  readonly maxIds?: number
  readonly maxBytes?: number
  /** A file of earlier blocks, to which new ones are added. */
  readonly log?: ReplayFile
}

/** A turn's block and the ids of its calls. */
export interface ReplayLine {
  readonly ids: readonly string[]
  readonly block: ReplayBlock
}

interface ReplayFile {
  /** The lines of earlier processes, the oldest first; once. */
  takeLines(): readonly ReplayLine[]
  append(line: ReplayLine): void
}

interface Entry {
  readonly ids: readonly string[]
  readonly block: ReplayBlock
  readonly origin: ReplayOrigin
  readonly bytes: number
}

const sameArguments = (a: string, b: string): boolean => {
  if (a === b) return true
  const [left, right] = [tryParseJsonNode(a), tryParseJsonNode(b)]
  return left !== undefined && right !== undefined && jsonNodesEqual(left, right)
}

const sizeOf = (ids: readonly string[], block: ReplayBlock): number => {
  const texts = [
    ...ids,
    block.lead,
    block.text,
    ...block.calls.flatMap((call) => [call.name, call.arguments]),
  ]
  return texts.reduce((sum, text) => sum + text.length * 2, block.tokens.length * 8)
}

export class ToolReplay {
  private readonly entries = new Map<string, Entry>() // by first id, least recently used first
  private readonly entryOfId = new Map<string, Entry>()
  private bytes = 0
  private readonly maxIds: number
  private readonly maxBytes: number
  private readonly log: ReplayFile | undefined

  /** Defaults: 100000 ids and 512 MiB, counting two bytes a character and eight a token. */
  constructor(limits: ToolReplayLimits = {}) {
    this.maxIds = limits.maxIds ?? 100_000
    this.maxBytes = limits.maxBytes ?? 512 * 2 ** 20
    this.log = limits.log
    for (const { ids, block } of limits.log?.takeLines() ?? []) this.keep(ids, block, "disk")
  }

  get usage(): { ids: number; bytes: number } {
    return { ids: this.entryOfId.size, bytes: this.bytes }
  }

  private remove(entry: Entry): void {
    this.entries.delete(entry.ids[0] ?? "")
    for (const id of entry.ids) this.entryOfId.delete(id)
    this.bytes -= entry.bytes
  }

  /**
   * Keeps one turn's block under all its call ids. A block beyond the limits by itself is not kept.
   */
  remember(ids: readonly string[], block: ReplayBlock): void {
    if (this.keep(ids, block, "memory")) this.log?.append({ ids, block })
  }

  private keep(ids: readonly string[], block: ReplayBlock, origin: ReplayOrigin): boolean {
    const [first] = ids
    if (first === undefined) return false
    if (ids.length !== block.calls.length)
      throw new Error(`${ids.length} ids for ${block.calls.length} calls of one turn`)
    for (const id of ids) {
      const old = this.entryOfId.get(id)
      if (old !== undefined) this.remove(old)
    }
    const entry = { ids: [...ids], block, origin, bytes: sizeOf(ids, block) }
    if (entry.ids.length > this.maxIds || entry.bytes > this.maxBytes) return false
    this.entries.set(first, entry)
    for (const id of ids) this.entryOfId.set(id, entry)
    this.bytes += entry.bytes
    for (const oldest of this.entries.values()) {
      if (this.entryOfId.size <= this.maxIds && this.bytes <= this.maxBytes) break
      this.remove(oldest)
    }
    return true
  }

  /**
   * The sampled block, when the calls are exactly those of one remembered turn, in order and
   * unedited.
   */
  lookup(calls: readonly ToolCall[]): ReplayHit | undefined {
    const [first] = calls
    const entry = first === undefined ? undefined : this.entryOfId.get(first.id)
    if (entry === undefined || entry.ids.length !== calls.length) return undefined
    const isUnedited = calls.every((call, index) => {
      const delivered = entry.block.calls[index]
      return (
        call.id === entry.ids[index] &&
        call.name === delivered?.name &&
        sameArguments(call.arguments, delivered.arguments)
      )
    })
    if (!isUnedited) return undefined
    const [key] = entry.ids
    if (key !== undefined) {
      this.entries.delete(key)
      this.entries.set(key, entry)
    }
    const { lead, text, tokens } = entry.block
    const sampled: Segment = { text, control: true, ids: tokens }
    return {
      segments: lead === "" ? [sampled] : [{ text: lead, control: false }, sampled],
      origin: entry.origin,
    }
  }
}

/**
 * Cuts a turn's sampled tokens at the start of its block, so that the pair can be remembered.
 * @param sampled ids of the turn up to and including the block's last token
 * @param block the block's text as sampled, with the white space before it; the sampled text must
 * end with it
 * @returns undefined when the two do not belong together
 */
export const alignBlock = (
  tokenizer: Tokenizer,
  sampled: readonly number[],
  block: string,
): Pick<ReplayBlock, "lead" | "text" | "tokens"> | undefined => {
  const bytes = Buffer.from(block)
  let end = bytes.length
  let first = sampled.length
  while (first > 0 && end > 0) {
    const token = tokenizer.tokenBytes(sampled[first - 1] ?? -1)
    if (token.length > end) break
    if (!bytes.subarray(end - token.length, end).equals(token)) return undefined
    end -= token.length
    first--
  }
  const lead = bytes.subarray(0, end).toString()
  // The cut may only fall into the white space before the opener: a marker split by it could not be
  // re-encoded.
  return lead.trim() === ""
    ? { lead, text: bytes.subarray(end).toString(), tokens: sampled.slice(first) }
    : undefined
}
