/** Tokens that one session of a model holds. */
interface ContextRoom {
  readonly contextTokens: number
  /** Longest context that the model was made for. */
  readonly longestContextTokens: number
}

/** The prompt leaves no room for an answer. */
export class ContextOverflowError extends Error {
  override readonly name = "ContextOverflowError"
  constructor(
    readonly promptTokens: number,
    readonly room: ContextRoom,
  ) {
    super(
      `the prompt has ${promptTokens} tokens; a session holds ${room.contextTokens}, ` +
        `prompt and answer together`,
    )
  }
}

/**
 * Output limit in tokens: the requested one, capped at the room that the prompt leaves.
 * @throws ContextOverflowError when it leaves none
 */
export function outputLimit(
  promptTokens: number,
  requested: number | undefined,
  room: ContextRoom,
): number {
  const left = room.contextTokens - promptTokens
  if (left <= 0) throw new ContextOverflowError(promptTokens, room)
  return Math.min(requested ?? left, left)
}
