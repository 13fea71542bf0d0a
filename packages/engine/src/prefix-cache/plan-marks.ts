// Where a session is marked while it reads a prompt. A mark ends a step of the engine, so a prompt
// is cut for one only where much lies between them.

/** Messages at the end of a prompt are those that are edited, regenerated and asked again. */
const RECENT_MESSAGES = 4
const MIN_RECENT_TOKENS = 64
const MIN_TOKENS = 512

/**
 * @param begins prompt offsets where messages begin, ascending
 * @param cached tokens of the prompt that need no reading
 * @param end tokens of the prompt that are read, cached ones included
 * @returns those offsets behind which a mark is worth its step, ascending
 */
export function planMarks(begins: readonly number[], cached: number, end: number): number[] {
  const marks: number[] = []
  let last = cached
  for (const [index, begin] of begins.entries()) {
    if (begin >= end) break
    // The first message with its tools is shared with other conversations.
    const isSought = index === 0 || index >= begins.length - RECENT_MESSAGES
    if (begin - last < (isSought ? MIN_RECENT_TOKENS : MIN_TOKENS)) continue
    marks.push(begin)
    last = begin
  }
  return marks
}
