// Runs one generation request from admission to its end and answers it as a stream or as one
// object.
import { ApiError, publicMessage } from "../http/api-error.ts"
import type { RequestContexts } from "../http/request-context.ts"
import type { RequestLog } from "../http/request-log.ts"
import type { PrepareContext } from "../answer/prompt.ts"
import type { ServerSettings } from "../settings.ts"
import { explainsCache } from "../answer/cache-explanation.ts"
import type { StreamWriter } from "../answer/stream-writer.ts"
import { Transcript } from "../answer/transcript.ts"
import { commentFrame, SSE_HEADERS } from "../answer/sse.ts"
import { recordAnswer } from "./answer-record.ts"
import type { AnswerRun, PreparedAnswer } from "./answer-run.ts"
import { cancelError } from "./generation-error.ts"
import { type CacheExplaining, Generation, type GenerationStep } from "./generation.ts"
import { type ActiveRequest, CancelReason, type RequestRegistry } from "./request-registry.ts"
import type { ServedModel, ServingState } from "./serving-state.ts"
import { StallWatch } from "./stall-watch.ts"
import type { Statistics } from "./statistics.ts"

interface AnswerDependencies {
  state: ServingState
  settings: ServerSettings
  registry: RequestRegistry
  statistics: Statistics
  log: RequestLog
}

type Prepare = (model: ServedModel, context: PrepareContext) => Promise<PreparedAnswer>

/** A generation request as it came in. */
interface Incoming {
  request: Request
  /** The name under which it is counted. */
  endpoint: string
}

export class Answers {
  constructor(
    private readonly dependencies: AnswerDependencies,
    private readonly contexts: RequestContexts,
  ) {
    this.context = {
      defaults: dependencies.settings.answers,
      now: () => Math.floor(Date.now() / 1000),
    }
  }

  /** The settings and the clock that endpoints read. */
  readonly context: PrepareContext

  /** The model, or 503. */
  get model(): ServedModel {
    return this.dependencies.state.require()
  }

  /**
   * Admits the request, prepares it, starts the engine and answers. Errors before the first byte
   * are thrown; later ones become the API's error frame.
   */
  async run(incoming: Incoming, prepare: Prepare): Promise<Response> {
    const run = await this.begin(incoming, prepare)
    run.context.logsItself = true
    try {
      await run.generation.admit()
      // Whoever answers notices an abort from now on. The transport would not report an earlier
      // one: it does not read a stream whose client is gone.
      throwIfGone(run.active)
    } catch (error) {
      this.settle(run, error)
      throw error
    }
    const { stream } = run.prepared
    return stream === undefined ? this.whole(run) : this.stream(run, stream)
  }

  /** Admits the request, prepares it and starts the engine. */
  private async begin({ request, endpoint }: Incoming, prepare: Prepare): Promise<AnswerRun> {
    const context = this.contexts.of(request)
    const { state, registry, settings } = this.dependencies
    const model = state.require()
    const active = registry.admit(context.id, endpoint, model.id)
    const onGone = () => active.controller.abort(new CancelReason("client", "the client went away"))
    request.signal.addEventListener("abort", onGone, { once: true })
    try {
      if (request.signal.aborted) onGone()
      const prepared = await prepare(model, this.context)
      active.answerId = prepared.id
      throwIfGone(active)
      return {
        context,
        active,
        generation: new Generation(
          model,
          prepared.plan,
          active,
          settings.timing,
          explaining(request.headers, settings),
        ),
        prepared,
        transcript: new Transcript(),
        isSettled: false,
        isParked: true,
      }
    } catch (error) {
      registry.finish(active)
      throw error
    }
  }

  /** Cancels the running response with this id; false if there is none. */
  cancelResponse(responseId: string): boolean {
    const reason = new CancelReason("operator", "the response was cancelled")
    return this.dependencies.registry.cancel(responseId, reason) === "cancelled"
  }

  private async whole(run: AnswerRun): Promise<Response> {
    let body: Record<string, unknown>
    try {
      for await (const step of run.generation.steps())
        if (step.type === "output") run.transcript.add(step.batch)
      body = await run.prepared.whole(run.transcript, run.generation.outcome)
    } catch (error) {
      this.settle(run, error)
      throw error
    }
    await run.prepared.keep?.(undefined)
    this.settle(run, undefined)
    return Response.json(body)
  }

  private stream(run: AnswerRun, writer: StreamWriter): Response {
    const { signal } = run.active.controller
    // Before the first read and while a frame waits to be taken nobody would notice the abort.
    signal.addEventListener(
      "abort",
      () => {
        if (run.isParked) this.settle(run, cancelError(signal.reason))
      },
      { once: true },
    )
    return new Response(this.frames(run, writer), { headers: SSE_HEADERS })
  }

  /** The frames of a stream; failures become the API's error frame. */
  private async *frames(
    run: AnswerRun,
    writer: StreamWriter,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    run.isParked = false
    const stall = new StallWatch(run, this.dependencies.settings.timing.stallMs)
    let failure: unknown = new ApiError("CLIENT_GONE", "the client went away")
    try {
      const first = writer.opensWithUsage
        ? commentFrame(this.note(run))
        : writer.open({ promptTokens: 0, cachedTokens: 0 })
      yield* stall.guard(first)
      for await (const step of run.generation.steps())
        yield* stall.guard(this.frameOf(step, run, writer))
      const last = writer.close(run.generation.outcome)
      await run.prepared.keep?.(undefined)
      yield* stall.guard(last)
      failure = undefined
    } catch (error) {
      failure = error
      // Nobody would take the frame of a client that is gone.
      const isGone = error instanceof ApiError && error.code === "CLIENT_GONE"
      if (!isGone) {
        const last = writer.fail(publicMessage(error, run.context.id))
        await run.prepared.keep?.(error)
        yield* stall.guard(last)
      }
    } finally {
      stall.stop()
      this.settle(run, failure)
    }
  }

  private frameOf(step: GenerationStep, run: AnswerRun, writer: StreamWriter): string {
    switch (step.type) {
      case "opening":
        return writer.opensWithUsage ? writer.open(step.usage) : ""
      case "output":
        run.transcript.add(step.batch)
        return writer.write(step.batch)
      case "idle":
        return writer.keepAlive(this.note(run))
    }
  }

  /** Says in words how far the request is. */
  private note({ active }: AnswerRun): string {
    if (active.phase === "waiting")
      return `queued ${this.dependencies.registry.queuePosition(active)}`
    return active.phase === "prefill"
      ? `prefill ${active.processedTokens}/${active.promptTokens}`
      : "generating"
  }

  /** Ends a run once: frees its place, counts it and writes its log line. */
  private settle(run: AnswerRun, failure: unknown): void {
    if (run.isSettled) return
    run.isSettled = true
    run.generation.dispose()
    void run.prepared.keep?.(failure)
    this.dependencies.registry.finish(run.active)
    recordAnswer(run, failure, this.dependencies)
  }
}

/** Whether and how the client is told where its prompt went on from. */
function explaining(headers: Headers, { access }: ServerSettings): CacheExplaining | undefined {
  if (!explainsCache(headers)) return undefined
  return access.apiKeys.length > 1 ? "privately" : "openly"
}

function throwIfGone(active: ActiveRequest): void {
  if (active.controller.signal.aborted) throw cancelError(active.controller.signal.reason)
}
