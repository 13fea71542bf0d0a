// Follows the ids that a session holds during a request, and how later prompts will show them.
import type { GenerateRequest } from "./types.ts"

/** Ids that a session held before the request, and the prompt tokens that they cover. */
interface Beginning {
  readonly heldTokens: Int32Array
  readonly cachedTokens: number
}

export class Transcript {
  /** Every id given to the session and made by it, in order. */
  private readonly held: number[]
  private readonly generated: number[] = []

  constructor(
    { heldTokens, cachedTokens }: Beginning,
    private readonly prompt: readonly number[],
    private readonly shownAs: GenerateRequest["shownAs"],
  ) {
    this.held = [...heldTokens, ...prompt.slice(cachedTokens)]
  }

  get length(): number {
    return this.held.length
  }

  push(id: number): void {
    this.held.push(id)
    this.generated.push(id)
  }

  /** The first `position` ids: a session that was cancelled holds fewer than were made. */
  heldUpTo(position: number): Int32Array {
    return Int32Array.from(this.held.slice(0, position))
  }

  /**
   * The lists of ids by which prompts may show these, where they are not the same. This prompt has
   * left something out, or later ones will.
   */
  shownUpTo(position: number): Int32Array[] {
    const missing = this.held.length - position
    const kept = this.generated.length - missing
    const later = kept > 0 ? this.shownAs?.(this.generated.slice(0, kept)) : undefined
    const shown = later === undefined ? [] : [Int32Array.from(later)]
    const whole = this.prompt.length + this.generated.length
    if (whole === this.held.length) return shown
    const now = [...this.prompt, ...this.generated].slice(0, whole - missing)
    return [...shown, Int32Array.from(now)]
  }
}
