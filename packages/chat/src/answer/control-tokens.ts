// The rule for control tokens that a model samples: none is ever shown. Ids decide, not characters:
// the same string written with ordinary tokens is text.
import type { Tokenizer } from "@ds4/tokenizer"
import { DSML, isBarred, THINK_CLOSE, THINK_OPEN } from "@ds4/tokenizer/special-tokens"
import type { AnswerPart } from "../parser/events.ts"

/** The characters between which the marker of a tag may stand: "<", "</" and a doubled bar. */
const TAG_BEGINNING = /<\/?[\uff5c|]?$/

export class ControlTokens {
  /**
   * Tokens that end an answer: the end of sentence, and those that only prompts hold. Such are
   * roles, tasks, images and the tool markers of earlier checkpoints.
   */
  readonly ending: ReadonlySet<number>
  readonly thinkClose: number | undefined
  private readonly thinkOpen: number | undefined
  private readonly dsml: number | undefined

  constructor({ special, bos, eos }: Pick<Tokenizer, "special" | "bos" | "eos">) {
    const barred = [...special].filter(([text]) => isBarred(text)).map(([, id]) => id)
    this.ending = new Set([eos, bos, ...barred])
    this.thinkOpen = special.get(THINK_OPEN)
    this.thinkClose = special.get(THINK_CLOSE)
    this.dsml = special.get(DSML)
  }

  /**
   * Whether the token is left out. That is a mark of thinking that opens or closes nothing, or a
   * marker of tool syntax in no tag. Inside a call all of them are the call's text.
   * @param before the end of the text so far, at least three characters
   */
  isStray(id: number, part: AnswerPart, before: string): boolean {
    if (part === "call") return false
    if (id === this.thinkOpen) return true
    if (id === this.thinkClose) return part === "text"
    return id === this.dsml && !TAG_BEGINNING.test(before)
  }
}
