// Marsaglia and Tsang's ziggurat for the standard normal distribution, with 256 layers of equal
// area and 52-bit magnitudes.

/** Where the tail begins. */
export const NORMAL_R = 3.654152885361009
/** Area of a layer: r * f(r) and the tail beyond r, for f(x) = exp(-x^2 / 2). */
const AREA = 0.004928673233974655

interface Wedges {
  /** x of a layer's right edge by 2^52: makes a magnitude of it. */
  readonly scale: Float64Array
  /** Magnitudes below this one lie under the curve. */
  readonly accept: Float64Array
  /** f at a layer's right edge. */
  readonly height: Float64Array
}

function makeWedges(): Wedges {
  const scale = new Float64Array(256)
  const accept = new Float64Array(256)
  const height = new Float64Array(256)
  const f = (x: number): number => Math.exp(-0.5 * x * x)
  let right = NORMAL_R
  accept[0] = Math.floor(((right * f(right)) / AREA) * 2 ** 52)
  scale[0] = AREA / f(right) / 2 ** 52
  height[0] = 1
  scale[255] = right / 2 ** 52
  height[255] = f(right)
  for (let layer = 254; layer >= 1; layer--) {
    const left = Math.sqrt(-2 * Math.log(AREA / right + f(right)))
    accept[layer + 1] = Math.floor((left / right) * 2 ** 52)
    scale[layer] = left / 2 ** 52
    height[layer] = f(left)
    right = left
  }
  return { scale, accept, height }
}

export const WEDGES = makeWedges()
