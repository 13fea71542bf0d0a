import type { Segment } from "@ds4/tokenizer"

/** Collects rendered text; neighbours of the same trust become one segment. */
export class SegmentWriter {
  private readonly segments: Segment[] = []

  private add(text: string, control: boolean): this {
    if (text === "") return this
    const last = this.segments.at(-1)
    if (last !== undefined && last.control === control && last.ids === undefined) {
      this.segments[this.segments.length - 1] = { text: last.text + text, control }
    } else {
      this.segments.push({ text, control })
    }
    return this
  }

  /** Text of the template itself, in which control strings count. */
  control(text: string): this {
    return this.add(text, true)
  }

  /** Text of somebody else, in which they do not. */
  plain(text: string): this {
    return this.add(text, false)
  }

  verbatim(segment: Segment): this {
    this.segments.push(segment)
    return this
  }

  finish(): Segment[] {
    return this.segments
  }
}

/** The rendered text of segments. */
export const segmentsText = (segments: readonly Segment[]): string =>
  segments.map(({ text }) => text).join("")
