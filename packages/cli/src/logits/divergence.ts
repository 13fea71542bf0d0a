/** log(sum(exp(x))) in f64, shifted by the largest value. */
function logSumExp(logits: Float32Array): number {
  const largest = logits[argmax(logits)] ?? 0
  let sum = 0
  for (const value of logits) sum += Math.exp(value - largest)
  return largest + Math.log(sum)
}

/** Index of the largest logit, the lowest on a tie. */
function argmax(logits: Float32Array): number {
  let best = 0
  for (let id = 1; id < logits.length; id++) if ((logits[id] ?? 0) > (logits[best] ?? 0)) best = id
  return best
}

/** How far one set of logits is from another, over positions. */
export interface Divergence {
  readonly positions: number
  /** Kullback-Leibler divergence of the compared from the reference distribution, in nats. */
  readonly meanKl: number
  readonly maxKl: number
  /** Share of positions whose likeliest token is the same. */
  readonly top1Agreement: number
  readonly maxLogitDifference: number
  /** Root of the mean squared difference over the root of the mean squared reference. */
  readonly relativeRms: number
}

/** KL(reference || compared) of two softmax distributions, in nats. */
function klDivergence(reference: Float32Array, compared: Float32Array): number {
  const [a, b] = [logSumExp(reference), logSumExp(compared)]
  let sum = 0
  for (let id = 0; id < reference.length; id++) {
    const logP = (reference[id] ?? 0) - a
    sum += Math.exp(logP) * (logP - ((compared[id] ?? 0) - b))
  }
  return Math.max(0, sum) // rounding can leave -1e-17 where both are equal
}

/**
 * Compares logits position by position.
 * @param reference, compared [positions, vocab]
 */
export function divergence(
  reference: Float32Array,
  compared: Float32Array,
  vocab: number,
): Divergence {
  const positions = reference.length / vocab
  const sums = { kl: 0, maxKl: 0, same: 0, maxDifference: 0, squaredDifference: 0, squared: 0 }
  for (let position = 0; position < positions; position++) {
    const [a, b] = [reference, compared].map((all) =>
      all.subarray(position * vocab, (position + 1) * vocab),
    )
    if (a === undefined || b === undefined) continue
    const kl = klDivergence(a, b)
    sums.kl += kl
    sums.maxKl = Math.max(sums.maxKl, kl)
    if (argmax(a) === argmax(b)) sums.same += 1
    for (let id = 0; id < vocab; id++) {
      const difference = Math.abs((a[id] ?? 0) - (b[id] ?? 0))
      sums.maxDifference = Math.max(sums.maxDifference, difference)
      sums.squaredDifference += difference * difference
      sums.squared += (a[id] ?? 0) ** 2
    }
  }
  return {
    positions,
    meanKl: sums.kl / positions,
    maxKl: sums.maxKl,
    top1Agreement: sums.same / positions,
    maxLogitDifference: sums.maxDifference,
    relativeRms: sums.squared === 0 ? 0 : Math.sqrt(sums.squaredDifference / sums.squared),
  }
}
