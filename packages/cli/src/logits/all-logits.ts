import type { NativeEngine } from "@ds4/engine"

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
export function allLogits(engine: NativeEngine, ids: readonly number[]): Float32Array {
  const { vocab } = engine.model
  const all = new Float32Array(ids.length * vocab)
  for (const { position, logits } of engine.logits(ids, { mode: "all" }))
    all.set(logits, position * vocab)
  return all
}
