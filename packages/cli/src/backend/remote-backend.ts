import type { AnswerEvent, AnswerRequest } from "@ds4/chat"
import { CliError, EXIT, messageOf, usageError } from "../errors.ts"
import { printable } from "../terminal/printable.ts"
import type { Backend } from "./backend.ts"
import { ServerAnswer, type StreamChunk } from "./server-answer.ts"
import { serverEvents } from "./server-events.ts"
import { requestBody } from "./server-messages.ts"

interface RemoteOptions {
  /** Base address, with or without /v1. */
  readonly url: string
  readonly apiKey: string | undefined
  /** Model name to ask for; default: the first one the server lists. */
  readonly model?: string
}

/** A server that speaks the OpenAI chat interface. */
export class RemoteBackend implements Backend {
  private constructor(
    private readonly base: string,
    private readonly headers: Readonly<Record<string, string>>,
    readonly description: Backend["description"],
  ) {}

  /** Asks the server for its models; throws with exit code 5 when there is no server. */
  static async open(options: RemoteOptions): Promise<RemoteBackend> {
    if (!URL.canParse(options.url))
      throw usageError(
        `--url is "${options.url}"; expected an address such as http://127.0.0.1:8000`,
      )
    const base = `${options.url.replace(/\/+$/, "").replace(/\/v1$/, "")}/v1`
    const headers: Record<string, string> =
      options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` }
    const response = await reach(`${base}/models`, { headers })
    const listed = (await response.json()) as { data?: { id?: string; context_length?: number }[] }
    const first = listed.data?.[0]
    const model = options.model ?? first?.id ?? "default"
    return new RemoteBackend(base, headers, {
      model,
      contextTokens: first?.context_length,
      where: `served at ${options.url}`,
    })
  }

  async *answer(request: AnswerRequest): AsyncIterable<AnswerEvent> {
    const answer = new ServerAnswer()
    const response = await reach(`${this.base}/chat/completions`, {
      method: "POST",
      headers: { ...this.headers, "content-type": "application/json" },
      body: JSON.stringify(requestBody(this.description.model, request)),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    })
    for await (const data of serverEvents(response)) {
      const chunk = data as StreamChunk // every field is optional and read as such
      if (chunk.error !== undefined)
        throw new CliError(
          EXIT.failed,
          `the server failed: ${printable(chunk.error.message ?? "no message")}`,
        )
      yield* answer.push(chunk)
    }
    yield* answer.end()
  }

  complete(): never {
    throw usageError("a rendered prompt needs a local engine; leave out --url or --raw")
  }

  async prompt(): Promise<undefined> {}

  async close(): Promise<void> {}
}

/** Fetches; no connection is exit code 5, a refused request carries the server's message. */
async function reach(url: string, init: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url, init)
  } catch (error) {
    if (init.signal?.aborted === true) throw error
    throw new CliError(EXIT.unreachable, `there is no server at ${url}: ${messageOf(error)}`)
  }
  if (response.ok) return response
  const text = await response.text()
  throw new CliError(
    EXIT.failed,
    `the server answered ${response.status}: ${printable(errorText(text))}`,
  )
}

function errorText(body: string): string {
  try {
    const parsed = JSON.parse(body) as { error?: { message?: unknown } }
    if (typeof parsed.error?.message === "string") return parsed.error.message
  } catch {
    return body.slice(0, 300) // not JSON: whatever stands before the server, in its own words
  }
  return body.slice(0, 300)
}
