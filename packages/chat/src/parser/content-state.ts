// The facts about the content so far that decide how the rest is read.

/** From the first tag on that may be a call's. */
export interface CallBlock {
  isWrapped: boolean
  /** A tag so far was not spelled as trained. */
  isIrregular: boolean
  /** Names of undeclared tools that were called before a declared one. */
  readonly undeclared: string[]
  readonly problems: string[]
  /** The answer ended inside a tag or a call. */
  isBroken: boolean
  /** Text was emitted inside. */
  hasText: boolean
}

export const newBlock = (): CallBlock => ({
  isWrapped: false,
  isIrregular: false,
  undeclared: [],
  problems: [],
  isBroken: false,
  hasText: false,
})

export class ContentState {
  text = ""
  private lastTagAt = 0
  /** From the first tag on that was a call's. */
  block: CallBlock | undefined
  /** Nothing but white space was emitted since the last tag. */
  followsTag = false
  /** No more text will come. */
  isFinal = false

  /** @param lastUnit the character before the text that comes next; after a tag a line begins */
  constructor(public lastUnit: string) {}

  /** The end of the text that followed the last tag, without samples. */
  sinceTag(units: number): string {
    return this.text.slice(Math.max(this.lastTagAt, this.text.length - units))
  }

  append(text: string, isSample: boolean): void {
    this.text += text
    if (isSample) this.lastTagAt = this.text.length
    this.lastUnit = text.at(-1) ?? this.lastUnit
    this.followsTag = false
  }

  /** A tag was taken: it is no text. */
  leaveTag(): void {
    this.lastUnit = "\n"
    this.followsTag = true
    this.lastTagAt = this.text.length
  }
}
