// Runs one generation request from admission to its end and answers it as a stream or as one
// object.
import { ApiError } from "../http/api-error.ts"
import type { RequestContext, RequestContexts } from "../http/request-context.ts"
import type { RequestLog } from "../http/request-log.ts"
import type { PrepareContext } from "../answer/prompt.ts"
import type { ServerSettings } from "../settings.ts"
import { type Outcome, type StreamWriter, Transcript } from "../answer/answer.ts"
import { commentFrame, SSE_HEADERS } from "../answer/sse.ts"
import { cancelError, Generation, type GenerationPlan, type GenerationStep } from "./generation.ts"
import { type ActiveRequest, CancelReason, type RequestRegistry } from "./request-registry.ts"
import type { ServedModel, ServingState } from "./serving-state.ts"
import type { Statistics } from "./statistics.ts"

/** What a route makes of its body: the engine's plan and the two ways to answer. */
export interface PreparedAnswer {
  /** The answer's own id, such as "chatcmpl-…". */
  id: string
  plan: GenerationPlan
  stream: StreamWriter | undefined
  whole(answer: Transcript, outcome: Outcome): Record<string, unknown>
  /** What was left out of the request, for the log. */
  warnings?: readonly string[]
}

export interface AnswerDependencies {
  state: ServingState
  settings: ServerSettings
  registry: RequestRegistry
  statistics: Statistics
  log: RequestLog
}

export type Prepare = (model: ServedModel, context: PrepareContext) => Promise<PreparedAnswer>

/** A generation request as it came in. */
export interface Incoming {
  request: Request
  /** Absent when no port is open (tests). */
  server: { timeout(request: Request, seconds: number): void } | null
  /** The name under which it is counted. */
  endpoint: string
}

interface Run {
  /** The frame generator waits for its reader. */
  isParked: boolean
  /** Lets the transport close a connection whose client has stopped reading. */
  closeWhenIdle: () => void
  context: RequestContext
  active: ActiveRequest
  generation: Generation
  prepared: PreparedAnswer
  transcript: Transcript
  isSettled: boolean
}

const encoder = new TextEncoder()

/** A connection whose client stopped reading is closed after this long without traffic. */
const STALLED_IDLE_SECONDS = 1

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

  /** What endpoints need to turn a body into a prompt. */
  readonly context: PrepareContext

  /** The model, or 503. */
  get model(): ServedModel {
    return this.dependencies.state.require()
  }

  /**
   * Admits the request, prepares it, starts the engine and answers. Errors before the first byte
   * are thrown; later ones become the API's error frame.
   */
  async run({ request, server, endpoint }: Incoming, prepare: Prepare): Promise<Response> {
    const context = this.contexts.of(request)
    // A generation may be silent for long; its own keep-alive and stall limits apply instead.
    server?.timeout(request, 0)
    const { state, registry, settings } = this.dependencies
    const model = state.require()
    const active = registry.admit(context.id, endpoint, model.id)
    const onGone = () => active.controller.abort(new CancelReason("client", "the client went away"))
    request.signal.addEventListener("abort", onGone, { once: true })
    let run: Run
    try {
      if (request.signal.aborted) onGone()
      const prepared = await prepare(model, this.context)
      active.answerId = prepared.id
      throwIfGone(active)
      const generation = new Generation(model, prepared.plan, active, settings.timing)
      run = {
        context,
        active,
        generation,
        prepared,
        transcript: new Transcript(),
        isSettled: false,
        isParked: true,
        closeWhenIdle: () => server?.timeout(request, STALLED_IDLE_SECONDS),
      }
    } catch (error) {
      registry.finish(active)
      throw error
    }
    context.logsItself = true
    try {
      await run.generation.admit()
      // An abort from now on is noticed by whoever answers; one that came meanwhile would be by
      // nobody: the transport does not read a stream whose client is gone.
      throwIfGone(active)
    } catch (error) {
      this.settle(run, error)
      throw error
    }
    return run.prepared.stream === undefined
      ? this.whole(run)
      : this.stream(run, run.prepared.stream)
  }

  /** Cancels the running response with this id; false if there is none. */
  cancelResponse(responseId: string): boolean {
    return this.dependencies.registry.cancel(
      responseId,
      new CancelReason("operator", "the response was cancelled"),
    )
  }

  private async whole(run: Run): Promise<Response> {
    try {
      for await (const step of run.generation.steps())
        if (step.type === "output") run.transcript.add(step.batch)
    } catch (error) {
      this.settle(run, error)
      throw error
    }
    const body = run.prepared.whole(run.transcript, run.generation.outcome)
    this.settle(run, undefined)
    return Response.json(body)
  }

  private stream(run: Run, writer: StreamWriter): Response {
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
    run: Run,
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
      yield* stall.guard(writer.close(run.generation.outcome))
      failure = undefined
    } catch (error) {
      failure = error
      // nobody would take the frame
      const isGone = error instanceof ApiError && error.code === "CLIENT_GONE"
      if (!isGone) yield* stall.guard(writer.fail(messageOf(error)))
    } finally {
      stall.stop()
      this.settle(run, failure)
    }
  }

  private frameOf(step: GenerationStep, run: Run, writer: StreamWriter): string {
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

  /** What the request is waiting for, in words. */
  private note({ active }: Run): string {
    if (active.phase === "waiting")
      return `queued ${this.dependencies.registry.queuePosition(active)}`
    return active.phase === "prefill"
      ? `prefill ${active.processedTokens}/${active.promptTokens}`
      : "generating"
  }

  /** Ends a run once: frees its place, counts it and writes its log line. */
  private settle(run: Run, failure: unknown): void {
    if (run.isSettled) return
    run.isSettled = true
    const { registry, statistics, log } = this.dependencies
    const { context, active, generation, transcript } = run
    generation.dispose()
    registry.finish(active)
    const outcome = generation.outcome
    const status = failure === undefined ? 200 : failure instanceof ApiError ? failure.status : 500
    const isCancelled = active.controller.signal.aborted
    const prefilledTokens = Math.max(0, active.processedTokens - outcome.usage.cachedTokens)
    statistics.countRequest(active.endpoint, status)
    statistics.addGeneration({
      ...outcome.usage,
      prefilledTokens,
      endpoint: active.endpoint,
      status,
      toolCalls: transcript.calls.length,
      isCancelled,
      queueMs: generation.queueMs,
      ttftMs: generation.ttftMs,
      decodeMs: outcome.decodeMs,
      prefillMs: outcome.prefillMs,
    })
    log.write({
      id: context.id,
      method: context.method,
      path: context.path,
      status,
      durationMs: performance.now() - context.startedAtMs,
      generation: {
        ...outcome.usage,
        prefilledTokens,
        ttftMs: generation.ttftMs,
        prefillMs: outcome.prefillMs,
        decodeMs: outcome.decodeMs,
        finish: failure === undefined ? outcome.finish : isCancelled ? "cancelled" : "error",
        warnings: run.prepared.warnings ?? [],
      },
    })
  }
}

/** Cancels a stream whose client does not read: a frame was offered and nobody took it. */
class StallWatch {
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly run: Run,
    private readonly stallMs: number,
  ) {}

  *guard(frame: string): Generator<Uint8Array> {
    if (frame === "") return
    this.timer = setTimeout(() => {
      this.run.active.controller.abort(
        new CancelReason("stalled", `the client has not read for ${this.stallMs / 1000} s`),
      )
      this.run.closeWhenIdle()
    }, this.stallMs)
    this.run.isParked = true
    yield encoder.encode(frame)
    this.run.isParked = false
    clearTimeout(this.timer)
  }

  stop(): void {
    clearTimeout(this.timer)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function throwIfGone(active: ActiveRequest): void {
  if (active.controller.signal.aborted) throw cancelError(active.controller.signal.reason)
}
