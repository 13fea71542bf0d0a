// The arguments of one forward call.
import { invalid } from "./errors.ts"
import type { ExpertShape } from "./expert-shape.ts"

export interface ForwardInput {
  /** [tokens, hidden] f32 */
  input: Float32Array
  /** [tokens, expertsPerToken]; -1 skips a route */
  ids: Int32Array
  /** [tokens, expertsPerToken] router weights */
  weights: Float32Array
}

/**
 * Buffers of queued work. Native code keeps their addresses, so that they must not move, whatever
 * their size.
 */
export interface QueuedBuffers {
  input: Float32Array
  ids: Int32Array
  weights: Float32Array
  output: Float32Array
}
const fixedFloats = (values: number) => new Float32Array(new ArrayBuffer(values * 4))

export function queuedBuffers({ input, ids, weights }: ForwardInput): QueuedBuffers {
  const buffers = {
    input: fixedFloats(input.length),
    weights: fixedFloats(weights.length),
    output: fixedFloats(input.length),
    ids: new Int32Array(new ArrayBuffer(ids.byteLength)),
  }
  buffers.input.set(input)
  buffers.weights.set(weights)
  buffers.ids.set(ids)
  return buffers
}

/**
 * Number of tokens of a call whose lengths and ids are right.
 * @throws ExpertPoolError ARGUMENT naming the length or the id
 */
export function tokensOf(
  { input, ids, weights }: ForwardInput,
  { hidden, expertsPerToken, experts }: ExpertShape,
): number {
  const tokens = input.length / hidden
  if (!Number.isInteger(tokens))
    invalid(`input has ${input.length} values; expected a multiple of hidden ${hidden}`)
  if (ids.length !== tokens * expertsPerToken || weights.length !== ids.length) {
    invalid(
      `${tokens} tokens need ${tokens * expertsPerToken} ids and weights; got ` +
        `${ids.length} and ${weights.length}`,
    )
  }
  const wrong = ids.findIndex((id) => id < -1 || id >= experts)
  if (wrong >= 0)
    invalid(
      `expert id ${ids[wrong]} of token ${Math.floor(wrong / expertsPerToken)} is outside 0..` +
        `${experts - 1} (-1 skips)`,
    )
  return tokens
}
