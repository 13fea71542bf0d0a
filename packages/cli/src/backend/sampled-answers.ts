import type { Segment } from "@ds4/tokenizer"

const LIMIT = 1000 // answers remembered; the oldest go first

/**
 * The exact tokens of answers by their text. A text can be tokenised in more than one way: rendered
 * from its text, an answer could differ from what the session holds, and the whole conversation
 * would be read again.
 */
export class SampledAnswers {
  private readonly ids = new Map<string, readonly number[]>()

  /** @param thinkClose text of the control token that stands before an answer's content */
  constructor(private readonly thinkClose: string) {}

  remember(content: string, ids: readonly number[]): void {
    if (content === "") return
    this.ids.delete(content)
    this.ids.set(content, ids)
    for (const oldest of this.ids.keys()) {
      if (this.ids.size <= LIMIT) return
      this.ids.delete(oldest)
    }
  }

  /** The tokens of an answer's text; undefined when it was not sampled here. */
  idsOf(content: string): readonly number[] | undefined {
    return this.ids.get(content)
  }

  /**
   * Puts the sampled tokens in place of answers. Only text right after the end of thinking is an
   * answer.
   */
  apply(segments: readonly Segment[]): Segment[] {
    return segments.map((segment, index) => {
      const before = segments[index - 1]
      const isAnswer =
        !segment.control && before?.control === true && before.text.endsWith(this.thinkClose)
      const ids = isAnswer ? this.ids.get(segment.text) : undefined
      return ids === undefined ? segment : { ...segment, ids }
    })
  }
}
