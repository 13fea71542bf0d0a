// Times look-ups in a prefix cache of 10,000 states: 200 conversations of 50 turns, 300 tokens
// each. They share a system text of 5,000 tokens.
// Usage: bun packages/engine/bench/prefix-cache.ts
import { PrefixCache } from "../src/prefix-cache/prefix-cache.ts"

const CONVERSATIONS = 200
const TURNS = 50
const SYSTEM_TOKENS = 5000
const TURN_TOKENS = 300
const LOOK_UPS = 4000

const cache = new PrefixCache({
  usedBytes: () => 0,
  roomBytes: () => Infinity,
  budgetBytes: 1,
  contextTokens: 2 ** 20,
})

/** The tokens of a conversation of so many turns. */
function conversation(index: number, turns: number): Int32Array {
  return Int32Array.from({ length: SYSTEM_TOKENS + turns * TURN_TOKENS }, (_, at) =>
    at < SYSTEM_TOKENS ? at % 1000 : (at * 31 + index * 977) % 100_000,
  )
}

const begin = performance.now()
for (let index = 0; index < CONVERSATIONS; index++) {
  const whole = conversation(index, TURNS)
  for (let turn = 1; turn <= TURNS; turn++) {
    const held = whole.slice(0, SYSTEM_TOKENS + turn * TURN_TOKENS)
    const mark = { position: held.length, ownBytes: 1, close: () => {} }
    cache.add({ mark, held, shown: [], hint: undefined })
  }
}
const addMs = (performance.now() - begin) / (CONVERSATIONS * TURNS)

const prompts = Array.from({ length: CONVERSATIONS }, (_, index) => conversation(index, TURNS + 1))
const times: number[] = []
let foundTokens = 0
for (let i = 0; i < LOOK_UPS; i++) {
  const prompt = prompts[(i * 37) % CONVERSATIONS] ?? new Int32Array()
  const before = performance.now()
  foundTokens += cache.find(prompt, undefined)?.length ?? 0
  times.push((performance.now() - before) * 1000)
}
times.sort((a, b) => a - b)
const at = (part: number): string => (times[Math.floor(part * times.length)] ?? 0).toFixed(1)
console.log(
  `${cache.stats.prefixes} states, prompts of ${prompts[0]?.length} tokens, ` +
    `${foundTokens / LOOK_UPS} found: a look-up takes ${at(0.5)} us (99%: ${at(0.99)} us), ` +
    `adding a state ${(addMs * 1000).toFixed(0)} us`,
)
