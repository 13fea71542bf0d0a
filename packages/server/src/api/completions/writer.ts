// OpenAI text completions: frames of a stream and the whole object. No I/O.
import type { SampledLogprob } from "@ds4/chat"
import type { OpeningUsage, Outcome } from "../../answer/outcome.ts"
import type { LogprobLists, OutputBatch } from "../../answer/output-batch.ts"
import type { StreamWriter } from "../../answer/stream-writer.ts"
import type { Transcript } from "../../answer/transcript.ts"
import { type CompletionIdentity, openaiUsage, timings } from "../../answer/openai-fields.ts"
import { commentFrame, dataFrame, DONE_FRAME } from "../../answer/sse.ts"

export interface TextStreamOptions {
  includeUsage: boolean
  logprobs: boolean
  /** Text sent back before the answer (`echo`), or "". */
  echo: string
}

function finishReason(finish: Outcome["finish"]): "stop" | "length" {
  return finish === "length" ? "length" : "stop"
}

/** The older logprobs form: parallel arrays; offsets are in characters of the answer. */
export function legacyLogprobs(
  entries: readonly SampledLogprob[],
  firstOffset: number,
): Record<string, unknown> {
  let offset = firstOffset
  const offsets = entries.map((entry) => {
    const begin = offset
    offset += entry.token.length
    return begin
  })
  return {
    tokens: entries.map((entry) => entry.token),
    token_logprobs: entries.map((entry) => entry.logprob),
    top_logprobs: entries.map((entry) =>
      Object.fromEntries(entry.top.map((top) => [top.token, top.logprob])),
    ),
    text_offset: offsets,
  }
}

/** The whole `text_completion` object. */
export function textCompletion(
  identity: CompletionIdentity,
  answer: Transcript,
  outcome: Outcome,
  options: TextStreamOptions,
): Record<string, unknown> {
  return {
    id: identity.id,
    object: "text_completion",
    created: identity.created,
    model: identity.model,
    system_fingerprint: identity.fingerprint,
    choices: [
      {
        text: options.echo + answer.content,
        index: 0,
        logprobs: options.logprobs
          ? legacyLogprobs(answer.logprobs.content, options.echo.length)
          : null,
        finish_reason: finishReason(outcome.finish),
      },
    ],
    usage: openaiUsage(outcome),
    timings: timings(outcome),
  }
}

export class TextStreamWriter implements StreamWriter {
  readonly opensWithUsage = false
  private readonly head: string
  private readonly tail: string
  private offset: number
  private pending: LogprobLists["content"] = []

  constructor(
    identity: CompletionIdentity,
    private readonly options: TextStreamOptions,
  ) {
    const { id, created, model, fingerprint } = identity
    const fields = JSON.stringify({
      id,
      object: "text_completion",
      created,
      model,
      system_fingerprint: fingerprint,
    })
    this.head = `${fields.slice(0, -1)},"choices":[`
    this.tail = options.includeUsage ? `],"usage":null}` : "]}"
    this.offset = options.echo.length
  }

  open(_usage: OpeningUsage): string {
    return this.options.echo === "" ? "" : this.chunk(this.options.echo)
  }

  write(batch: OutputBatch): string {
    if (batch.logprobs !== undefined) this.pending.push(...batch.logprobs.content)
    let frames = ""
    for (const event of batch.events) if (event.type === "text") frames += this.chunk(event.text)
    return frames
  }

  close(outcome: Outcome): string {
    const finish = this.chunk("", finishReason(outcome.finish))
    const usage = this.options.includeUsage
      ? `data: ${this.head}],"usage":${JSON.stringify(openaiUsage(outcome))}}\n\n`
      : ""
    return finish + usage + DONE_FRAME
  }

  fail(message: string): string {
    return dataFrame(
      JSON.stringify({ error: { message, type: "server_error", param: null, code: null } }),
    )
  }

  keepAlive(note: string): string {
    return commentFrame(note)
  }

  private chunk(text: string, finish?: string): string {
    const reason = finish === undefined ? "null" : `"${finish}"`
    return (
      `data: ${this.head}{"text":${JSON.stringify(text)},"index":0,"logprobs":` +
      `${this.takeLogprobs()},"finish_reason":${reason}}${this.tail}\n\n`
    )
  }

  private takeLogprobs(): string {
    if (!this.options.logprobs || this.pending.length === 0) return "null"
    const field = JSON.stringify(legacyLogprobs(this.pending, this.offset))
    for (const entry of this.pending) this.offset += entry.token.length
    this.pending = []
    return field
  }
}
