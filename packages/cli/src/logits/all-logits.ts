import type { NativeEngine } from "@ds4/engine"
import type { Progress } from "@ds4/progress"

// positions of the default comparison: beyond the window and two compressed blocks
const COMPARED_TOKENS = 256

/** Ids for a comparison that names none: the same on every machine. */
export function defaultIds(vocab: number): number[] {
  let state = 1
  return Array.from({ length: COMPARED_TOKENS }, () => {
    state = (state * 48_271) % 2_147_483_647 // minimal standard generator
    return state % vocab
  })
}

/** All logits, [positions, vocab] f32. */
export function allLogits(
  engine: NativeEngine,
  ids: readonly number[],
  progress: Progress,
): Float32Array {
  const { vocab } = engine.model
  const all = new Float32Array(ids.length * vocab)
  progress.begin({ label: "computing logits", unit: "tokens", total: ids.length }, true)
  for (const { position, logits } of engine.logits(ids, { mode: "all" })) {
    all.set(logits, position * vocab)
    progress.update(position + 1)
  }
  return all
}
