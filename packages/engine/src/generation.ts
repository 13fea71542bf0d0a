// Runs one job on a leased session, from its first event to the release of the session.
import type { CacheInquiry } from "./cache-inquiry.ts"
import type { Checkpoints } from "./checkpoints/checkpoints.ts"
import type { Job } from "./native/job.ts"
import type { MarkHandle } from "./native/mark.ts"
import type { SessionHandle } from "./native/session.ts"
import type { Lease } from "./session-pool.ts"
import type { Transcript } from "./transcript.ts"
import type { GenerateEvent, Usage } from "./types.ts"

export interface GenerationParts {
  readonly job: Job
  readonly lease: Lease<SessionHandle, MarkHandle>
  readonly transcript: Transcript
  /** Tokens of the whole prompt, cached ones included. */
  readonly promptTokens: number
  readonly inquiry: CacheInquiry
  /** A few words of the conversation, for lists of states. */
  readonly preview: string | undefined
  /** Told of the work that goes on after the last event: the session is back when it resolves. */
  readonly onRetired: (settled: Promise<void>) => void
  /** Told when the job lacked memory: the next one shall have it. */
  readonly onMemoryShort: () => void
  /** Where states are saved. */
  readonly checkpoints: Checkpoints<MarkHandle> | undefined
}

/** The time of fewer tokens is mostly that of one step. */
const LEAST_MEASURED_TOKENS = 64

export class Generation {
  private isRetired = false
  private processedTokens = 0

  constructor(private readonly parts: GenerationParts) {}

  /**
   * @param signal ends the job with reason "cancelled"
   * @param closing ends the job without waiting for its consumer, who may never come back
   * @throws EngineError when the job fails
   */
  async *events(
    signal: AbortSignal,
    closing: AbortSignal,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const { job } = this.parts
    const abort = (): void => {
      if (job.endReason === undefined && !this.isRetired) job.cancel()
      job.wakeUp.notify()
    }
    const leave = (): void => {
      this.retire()
      job.wakeUp.notify()
    }
    signal.addEventListener("abort", abort)
    closing.addEventListener("abort", leave)
    try {
      if (closing.aborted) leave()
      else if (signal.aborted) abort()
      yield this.progress()
      yield* this.poll(signal)
    } finally {
      signal.removeEventListener("abort", abort)
      closing.removeEventListener("abort", leave)
      this.retire()
    }
  }

  /** Yields what each poll of the job brings, until its end. */
  private async *poll(signal: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined> {
    const { job, transcript } = this.parts
    for (;;) {
      if (!this.isRetired) await job.wakeUp.wait()
      if (this.isRetired) return yield { type: "end", reason: "cancelled", usage: this.usage() }
      const tokens = job.poll()
      for (const { id } of tokens) transcript.push(id)
      this.keepMarks()
      if (job.state.prompt_processed > this.processedTokens) {
        this.processedTokens = job.state.prompt_processed
        yield this.progress()
      }
      if (tokens.length > 0) yield { type: "tokens", tokens }
      const failure = job.failure()
      if (failure?.code === "DEVICE_MEMORY") this.parts.onMemoryShort()
      if (failure !== undefined) throw failure
      const reason = signal.aborted ? (job.endReason ?? "cancelled") : job.endReason
      if (reason !== undefined) return yield this.end(reason)
    }
  }

  private progress(): GenerateEvent {
    const { lease, promptTokens: total } = this.parts
    const cached = lease.cachedTokens
    return { type: "prefill", processed: cached + this.processedTokens, total, cached }
  }

  private end(reason: Extract<GenerateEvent, { type: "end" }>["reason"]): GenerateEvent {
    const { job } = this.parts
    const { stopString } = job
    const stopToken = job.state.stop_token
    // A consumer who sees the end may send the next turn at once: it should find this session.
    this.retire()
    return {
      type: "end",
      reason,
      usage: this.usage(),
      ...(stopToken < 0 ? {} : { stopToken }),
      ...(stopString === undefined ? {} : { stopString }),
    }
  }

  private usage(): Usage {
    const { job, lease, promptTokens, inquiry } = this.parts
    return {
      promptTokens,
      cachedTokens: lease.cachedTokens,
      generatedTokens: job.state.generated,
      prefillMs: job.state.prefill_us / 1000,
      decodeMs: job.state.decode_us / 1000,
      cache: inquiry.report,
    }
  }

  /** Ends the job in the background and releases its session with what it holds. Idempotent. */
  private retire(): void {
    if (this.isRetired) return
    this.isRetired = true
    const { job, lease, transcript, onRetired } = this.parts
    if (job.endReason === undefined && !job.isTerminal) job.cancel()
    else
      lease.settling([
        transcript.heldUpTo(transcript.length),
        ...transcript.shownUpTo(transcript.length),
      ])
    onRetired(this.settle())
  }

  private async settle(): Promise<void> {
    const { job, lease, transcript } = this.parts
    for (const { id } of await job.finish()) transcript.push(id)
    this.keepMarks()
    lease.release()
    this.parts.checkpoints?.worth.prefill.add(
      job.state.prompt_processed,
      job.state.prefill_us / 1e6,
      LEAST_MEASURED_TOKENS,
    )
  }

  /** Gives the marks that have come to the cache, with the ids that lead to them. */
  private keepMarks(): void {
    const { job, lease, transcript, checkpoints, preview } = this.parts
    for (const mark of job.takeMarks()) {
      const { position } = mark
      const held = transcript.heldUpTo(position)
      const shown = transcript.shownUpTo(position)
      const reason = this.reasonOf(position)
      // Clients may send back what the model thought, or not.
      for (const list of reason === "turn" ? [held, ...shown] : [shown[0] ?? held])
        if (reason !== undefined)
          checkpoints?.consider({ mark, held, shown: list, reason, preview })
      lease.keep(mark, held, shown)
    }
  }

  /** Why the state at a position of the session may be worth saving. */
  private reasonOf(position: number): "anchor" | "turn" | "interval" | undefined {
    const { job, lease, promptTokens } = this.parts
    const promptBegin = lease.heldTokens.length - lease.cachedTokens
    if (job.isTerminal && position >= promptBegin + promptTokens - 1) return "turn"
    const [first] = lease.promptMarks
    if (lease.cachedTokens < (first ?? 0) && position === promptBegin + (first ?? 0))
      return "anchor"
    return position % job.markInterval === 0 ? "interval" : undefined
  }
}
