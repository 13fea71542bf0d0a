import type { JobRequest } from "./native/job.ts"

/**
 * The tokens that a job gives to its session. A job without output fills the session for a later
 * one: it leaves out the last token, which that one needs for its first logits.
 */
export function promptToRead({ prompt, maxTokens }: JobRequest): readonly number[] {
  return maxTokens === 0 ? prompt.slice(0, -1) : prompt
}
