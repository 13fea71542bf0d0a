// Remembers answers as they were sampled, so that the next prompt of a conversation repeats the
// ids that its session holds.
import type { Segment } from "@ds4/tokenizer"
import { ToolReplay, type ToolReplayLimits } from "../template/replay.ts"
import { SampledAnswers } from "../template/sampled-answers.ts"
import type { AnswerReader } from "./answer-reader.ts"
import type { Prompt } from "./answer-request.ts"

export interface AnswerMemoryLimits {
  readonly toolCalls?: ToolReplayLimits
  /** Answers whose text is remembered with its ids. Default 1000; 0: none. */
  readonly answers?: number
}

export class AnswerMemory {
  readonly toolCalls: ToolReplay
  private readonly answers: SampledAnswers

  constructor(limits: AnswerMemoryLimits = {}) {
    this.toolCalls = new ToolReplay(limits.toolCalls)
    this.answers = new SampledAnswers(limits.answers)
  }

  /** Puts sampled ids in the place of remembered answers. */
  apply(segments: readonly Segment[]): Segment[] {
    return this.answers.apply(segments)
  }

  /** Remembers an answer that has ended. */
  remember(answer: AnswerReader, { continued }: Pick<Prompt, "continued">): void {
    const block = answer.finish === "cancelled" ? undefined : answer.sampledBlock
    if (block !== undefined)
      this.toolCalls.remember(
        block.calls.map(({ id }) => id),
        block.block,
      )
    const before = continued?.content ?? ""
    const idsBefore = before === "" ? [] : this.answers.idsOf(before)
    const ids = answer.sampledContent
    if (idsBefore !== undefined && ids !== undefined)
      this.answers.remember(before + answer.content, [...idsBefore, ...ids])
  }
}
