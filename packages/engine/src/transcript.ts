// Follows the ids that a session holds during a request, and how later prompts will show them.
import type { GenerateRequest } from "./types.ts"

/** Ids that a session held before the request, and the prompt tokens that they cover. */
interface Beginning {
  readonly heldTokens: readonly number[]
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
  heldUpTo(position: number): number[] {
    return this.held.slice(0, position)
  }

  /**
   * The ids by which prompts show these, where they are not the same: something has been left out.
   */
  shownUpTo(position: number): readonly number[] | undefined {
    const missing = this.held.length - position
    const kept = this.generated.length - missing
    const shown = kept > 0 ? this.shownAs?.(this.generated.slice(0, kept)) : undefined
    if (shown !== undefined) return shown
    const whole = [...this.prompt, ...this.generated]
    return whole.length === this.held.length ? undefined : whole.slice(0, whole.length - missing)
  }
}
