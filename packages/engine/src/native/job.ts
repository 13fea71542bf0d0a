// One running generation of the native scheduler: start, poll what it produced, cancel, free.
import { ptr } from "bun:ffi"
import { cString, readText, type ReadValues } from "@ds4/ffi"
import { engineError, type EngineError } from "../errors.ts"
import { engineLibrary } from "../library.ts"
import { FINISH, JOB, JOB_OPTIONS, JOB_STATE, JOB_TOKEN } from "../symbols.ts"
import type { EndReason, GeneratedToken } from "../types.ts"
import { steadyBytes } from "./background.ts"
import type { EngineHandle } from "./engine-handle.ts"
import { OutHandle } from "./handle.ts"
import { MarkHandle } from "./mark.ts"
import type { SessionHandle } from "./session.ts"
import { WakeUp } from "./wake-up.ts"

export interface JobRequest {
  /** New tokens: what the session does not hold yet. */
  readonly prompt: readonly number[]
  readonly maxTokens: number
  readonly stopTokens: readonly number[]
  readonly stopStrings: readonly string[]
  readonly logprobs: boolean
  readonly topLogprobs: number
  readonly toolZones: boolean
  /** Tools whose calls count; undefined: any. */
  readonly toolNames: readonly string[] | undefined
  readonly reasoningBudget: number
  readonly thinkCloseToken: number
  /** Prompt tokens behind which the session is marked, ascending. */
  readonly markOffsets: readonly number[]
  /** It is also marked at the multiples of so many tokens. */
  readonly markInterval: number
  readonly sampling: {
    readonly temperature: number
    readonly topP: number
    readonly topK: number
    readonly minP: number
    readonly seed: bigint
  }
}

type JobState = ReadValues<(typeof JOB_STATE)["fields"]>

/** Tokens that one poll can take; more come with the next. */
const POLL_TOKENS = 64

const REASONS: ReadonlyMap<number, EndReason> = new Map([
  [FINISH.STOP, "stop"],
  [FINISH.LENGTH, "length"],
  [FINISH.CONTEXT, "context"],
  [FINISH.STOP_STRING, "stop-string"],
])

/** Names as the library takes them. One with a line feed is no name that a tag could hold. */
export function toolNameLines(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const lines = names.filter((name) => !/[\n\0]/.test(name)).map((name) => `${name}\n`)
  return cString(lines.join(""))
}

function steadyWords(numbers: readonly number[]): Uint32Array {
  const steady = new Uint32Array(new ArrayBuffer(numbers.length * 4))
  steady.set(numbers)
  return steady
}

/** Memory that the start of a job reads. */
interface JobMemory {
  readonly names: Uint8Array | undefined
  readonly marks: Uint32Array | undefined
}

function optionsOf(request: JobRequest, tag: WakeUp["tag"], { names, marks }: JobMemory) {
  const { sampling } = request
  return {
    tag,
    max_tokens: request.maxTokens,
    top_logprobs: request.topLogprobs,
    logprobs: request.logprobs ? 1 : 0,
    tool_zones: request.toolZones ? 1 : 0,
    stop_token_count: request.stopTokens.length,
    reasoning_budget: request.reasoningBudget,
    think_close_token: request.thinkCloseToken,
    ...(names === undefined ? {} : { tool_names: ptr(names) }),
    ...(marks === undefined ? {} : { mark_offsets: ptr(marks), mark_count: marks.length }),
    mark_interval: request.markInterval,
    mark_end: 1,
    sampling: {
      temperature: sampling.temperature,
      top_p: sampling.topP,
      min_p: sampling.minP,
      top_k: sampling.topK,
      seed: sampling.seed,
    },
  }
}

export class Job {
  readonly wakeUp = new WakeUp()
  private readonly tokenBytes = new Uint8Array(new ArrayBuffer(JOB_TOKEN.bytes * POLL_TOKENS))
  private readonly tokenView = new DataView(this.tokenBytes.buffer)
  private readonly stateBytes = JOB_STATE.create()
  private readonly stateView = new DataView(this.stateBytes.buffer)
  private readonly id: bigint
  private readonly memory: JobMemory
  private readonly marks: MarkHandle[] = []
  state: JobState
  private isFreed = false

  /** @throws EngineError ARGUMENT or CONTEXT_FULL; nothing runs then */
  constructor(
    private readonly engine: EngineHandle,
    session: SessionHandle,
    private readonly request: JobRequest,
  ) {
    const { symbols, check } = engineLibrary()
    const strings = request.stopStrings.map((text) => new TextEncoder().encode(text))
    const { toolNames, markOffsets } = request
    this.memory = {
      names: toolNames === undefined ? undefined : steadyBytes(toolNameLines(toolNames)),
      marks: markOffsets.length === 0 ? undefined : steadyWords(markOffsets),
    }
    const options = JOB_OPTIONS.create(optionsOf(request, this.wakeUp.tag, this.memory))
    const tokens = new Int32Array([...request.prompt, ...request.stopTokens])
    const out = new BigUint64Array(1)
    try {
      check(
        "ds4_job_start",
        symbols.ds4_job_start(
          engine.pointer,
          session.pointer,
          options,
          tokens,
          request.prompt.length,
          strings.length === 0 ? null : Buffer.concat([...strings, new Uint8Array(1)]),
          strings.length === 0 ? null : new Uint32Array(strings.map((bytes) => bytes.length)),
          strings.length,
          out,
        ),
      )
    } catch (error) {
      this.wakeUp[Symbol.dispose]()
      throw error
    }
    this.id = out[0] ?? 0n
    this.state = JOB_STATE.read(this.stateView)
    this.state.status = JOB.RUNNING
  }

  /** The session has taken everything it will, and the job can be freed. */
  get isTerminal(): boolean {
    return this.state.status !== JOB.RUNNING
  }

  /**
   * Why generation ended, once it is known; that is a step before isTerminal when the last token
   * has to be fed.
   */
  get endReason(): EndReason | undefined {
    return this.state.status === JOB.CANCELLED ? "cancelled" : REASONS.get(this.state.finish)
  }

  /** The session is marked at multiples of so many tokens. */
  get markInterval(): number {
    return this.request.markInterval
  }

  get stopString(): string | undefined {
    return this.request.stopStrings[this.state.stop_string]
  }

  /** Takes the tokens that were produced since the last poll, and updates `state`. */
  poll(): GeneratedToken[] {
    const { symbols, check } = engineLibrary()
    const tokens: GeneratedToken[] = []
    do {
      check(
        "ds4_job_poll",
        symbols.ds4_job_poll(
          this.engine.pointer,
          this.id,
          this.tokenBytes,
          POLL_TOKENS,
          this.stateBytes,
        ),
      )
      this.state = JOB_STATE.read(this.stateView)
      for (let i = 0; i < this.state.token_count; i++) tokens.push(this.token(i * JOB_TOKEN.bytes))
    } while (this.state.pending_tokens > 0)
    for (let i = this.state.pending_marks; i > 0; i--) this.collectMark()
    return tokens
  }

  private collectMark(): void {
    const { symbols, check } = engineLibrary()
    const out = new OutHandle()
    check("ds4_job_take_mark", symbols.ds4_job_take_mark(this.engine.pointer, this.id, out.memory))
    this.marks.push(new MarkHandle(out.pointer))
  }

  /** The marks that polls have brought. Their tokens have been given. The caller closes them. */
  takeMarks(): MarkHandle[] {
    return this.marks.splice(0)
  }

  private token(offset: number): GeneratedToken {
    if (!this.request.logprobs) return { id: this.tokenView.getInt32(offset, true) }
    const { id, logprob, top_count, top_ids, top_logprobs } = JOB_TOKEN.read(this.tokenView, offset)
    if (this.request.topLogprobs === 0) return { id, logprob }
    return {
      id,
      logprob,
      top: top_ids
        .slice(0, top_count)
        .map((each, i) => ({ id: each, logprob: top_logprobs[i] ?? 0 })),
    }
  }

  /** The error of a failed job. */
  failure(): EngineError | undefined {
    if (this.state.status !== JOB.FAILED) return undefined
    const { symbols } = engineLibrary()
    return engineError(
      this.state.error,
      readText((buffer, capacity) =>
        symbols.ds4_job_error(this.engine.pointer, this.id, buffer, BigInt(capacity)),
      ),
    )
  }

  /** Asks the scheduler to end the job; returns at once. */
  cancel(): void {
    const { symbols, check } = engineLibrary()
    check("ds4_job_cancel", symbols.ds4_job_cancel(this.engine.pointer, this.id))
  }

  /** Polls until the job is terminal, then frees it; gives the tokens that were still to come. */
  async finish(): Promise<GeneratedToken[]> {
    const tokens = this.poll()
    while (!this.isTerminal) {
      await this.wakeUp.wait()
      tokens.push(...this.poll())
    }
    if (!this.isFreed) {
      this.isFreed = true
      const { symbols, check } = engineLibrary()
      check("ds4_job_free", symbols.ds4_job_free(this.engine.pointer, this.id))
      this.wakeUp[Symbol.dispose]()
    }
    return tokens
  }
}
