import type { NativeEngine, SessionHandle } from "@ds4/engine"
import { argmax } from "./recorded.ts"

/**
 * The next `steps` tokens by largest logit; `first` are the logits of the session's last position.
 */
export function greedy(
  engine: NativeEngine,
  session: SessionHandle,
  first: Float32Array,
  steps: number,
): number[] {
  const tokens: number[] = []
  for (let logits = first; tokens.length < steps; ) {
    const id = argmax(logits)
    tokens.push(id)
    logits = engine.step([{ session, tokens: [id], rows: "LAST" }])
  }
  return tokens
}
