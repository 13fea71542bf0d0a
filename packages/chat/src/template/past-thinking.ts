// Without tools a prompt leaves out the thinking of earlier turns, with tools that of clients which
// do not send it back. What a session holds of such a turn is therefore shown by the next prompt as
// if the model had not thought.

interface ThinkingTags {
  readonly open: number | undefined
  readonly close: number | undefined
  /** Prompts with tools show an empty thinking part instead of none. */
  readonly hasTools: boolean
}

/**
 * @param prompt ids that end with the opening of thinking; otherwise there is nothing to leave out,
 * and no function
 * @returns from the answer's ids to those by which later prompts show prompt and answer; undefined
 * while it still thinks
 */
export function thinkingLeftOut(
  prompt: readonly number[],
  { open, close, hasTools }: ThinkingTags,
): ((answer: readonly number[]) => number[] | undefined) | undefined {
  if (open === undefined || close === undefined || prompt.at(-1) !== open) return undefined
  const before = hasTools ? prompt : prompt.slice(0, -1)
  return (answer) => {
    const end = answer.indexOf(close)
    return end < 0 ? undefined : [...before, ...answer.slice(end)]
  }
}
