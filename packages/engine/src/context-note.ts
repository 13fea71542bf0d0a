import type { EngineModel } from "./types.ts"

/**
 * A sentence for a person who asked for a longer context than the model was made for. Undefined:
 * the context is what was asked for.
 * @param asked tokens; undefined: nothing was asked for
 */
export function contextNote(
  asked: number | undefined,
  { name, contextTokens, longestContextTokens }: EngineModel,
): string | undefined {
  if (asked === undefined || asked <= longestContextTokens) return undefined
  return (
    `--ctx ${asked} is more than ${name} was made for (${longestContextTokens} tokens); the ` +
    `context is ${contextTokens} tokens`
  )
}
