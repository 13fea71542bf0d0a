import type { Segment } from "@ds4/tokenizer"
import { THINK_CLOSE } from "@ds4/tokenizer/special-tokens"

const DEFAULT_LIMIT = 1000

/**
 * Keeps the sampled ids of answers by their text. A text has more than one tokenization. Encoded
 * from its text, an answer could differ from the ids that the session holds. The whole conversation
 * would then be processed again.
 */
export class SampledAnswers {
  private readonly ids = new Map<string, readonly number[]>() // the oldest first

  /** @param limit answers that are remembered; the oldest are forgotten first */
  constructor(private readonly limit = DEFAULT_LIMIT) {}

  remember(content: string, ids: readonly number[]): void {
    if (content === "") return
    this.ids.delete(content)
    this.ids.set(content, ids)
    for (const oldest of this.ids.keys()) {
      if (this.ids.size <= this.limit) return
      this.ids.delete(oldest)
    }
  }

  /** Returns the ids of an answer's text; undefined when it is not remembered. */
  idsOf(content: string): readonly number[] | undefined {
    return this.ids.get(content)
  }

  /** Puts sampled ids in the place of answers: foreign text right after the end of reasoning. */
  apply(segments: readonly Segment[]): Segment[] {
    return segments.map((segment, index) => {
      const before = segments[index - 1]
      const isAnswer =
        !segment.control && before?.control === true && before.text.endsWith(THINK_CLOSE)
      const ids = isAnswer ? this.ids.get(segment.text) : undefined
      return ids === undefined ? segment : { ...segment, ids }
    })
  }
}
