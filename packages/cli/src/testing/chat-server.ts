// A server of the OpenAI chat interface that answers by a script, so that terminal tests decide
// when tokens come.

export interface ScriptedAnswer {
  readonly reasoning?: readonly string[]
  readonly content: readonly string[]
  /** Wait before the first piece and between pieces. */
  readonly firstMs?: number
  readonly pieceMs?: number
  readonly finish?: "stop" | "length"
}

interface ReceivedRequest {
  readonly messages: readonly { role: string; content: string }[]
  readonly [field: string]: unknown
}

/** Answers every request by the script; keeps what it received and how many clients left early. */
export class ChatServer implements Disposable {
  readonly requests: ReceivedRequest[] = []
  cancelled = 0
  private readonly server: ReturnType<typeof Bun.serve>

  constructor(private readonly script: (request: ReceivedRequest) => ScriptedAnswer) {
    this.server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => this.handle(request),
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`
  }

  [Symbol.dispose](): void {
    void this.server.stop(true)
  }

  private async handle(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === "/v1/models")
      return Response.json({ object: "list", data: [{ id: "scripted", context_length: 4096 }] })
    const body = (await request.json()) as ReceivedRequest
    this.requests.push(body)
    if (body.messages.at(-1)?.content === "refuse")
      return Response.json({ error: { message: "no such \u001b[31mthing" } }, { status: 400 })
    return new Response(this.stream(this.script(body), request.signal), {
      headers: { "content-type": "text/event-stream" },
    })
  }

  private async *stream(answer: ScriptedAnswer, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const encode = (data: unknown) => new TextEncoder().encode(`data: ${JSON.stringify(data)}\n\n`)
    const pieces = [
      ...(answer.reasoning ?? []).map((reasoning_content) => ({ reasoning_content })),
      ...answer.content.map((content) => ({ content })),
    ]
    signal.addEventListener("abort", () => (this.cancelled += 1))
    yield encode({ choices: [{ delta: { role: "assistant" } }] })
    await Bun.sleep(answer.firstMs ?? 0)
    for (const delta of pieces) {
      if (signal.aborted) return
      yield encode({ choices: [{ delta }] })
      await Bun.sleep(answer.pieceMs ?? 0)
    }
    yield encode({ choices: [{ delta: {}, finish_reason: answer.finish ?? "stop" }] })
    yield encode({
      choices: [],
      usage: {
        prompt_tokens: 1204,
        completion_tokens: pieces.length,
        prompt_tokens_details: { cached_tokens: 1150 },
      },
    })
    yield new TextEncoder().encode("data: [DONE]\n\n")
  }
}
