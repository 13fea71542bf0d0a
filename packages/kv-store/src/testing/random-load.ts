// A process that saves, reads and evicts at random for some seconds, and compares what it reads.
// It prints its counts as JSON.
// Usage: bun random-load.ts FOLDER SEED SECONDS BUDGET
import { KvStoreError } from "../kv-store-error.ts"
import { randomNumbers } from "./file-map.ts"
import { openTestStore } from "./open-test-store.ts"
import { collect, SyntheticState, tokenIds, withOther } from "./synthetic-state.ts"

const [folder = "", seed = "1", seconds = "1", budget = "0"] = Bun.argv.slice(2)
const random = randomNumbers(Number(seed))
const store = await openTestStore(folder, { budgetBytes: Number(budget) })
const counts = {
  saves: 0,
  refusals: 0,
  reads: 0,
  othersReads: 0,
  missing: 0,
  misses: 0,
  evictions: 0,
}
const own = new Set<string>()

/** Both processes work on the same few conversations, which grow and fork. */
function randomIds(): Int32Array {
  const base = tokenIds(6000, 1 + Math.floor(random() * 4))
  const length = 300 * (1 + Math.floor(random() * 19))
  return random() < 0.7
    ? base.subarray(0, length)
    : withOther(base, length, 300, Math.ceil(random() * 3))
}

const stateOf = (ids: Int32Array): SyntheticState =>
  new SyntheticState(ids, { bytesPerToken: 1, recentBytes: 40 })

async function save(): Promise<void> {
  const ids = randomIds()
  const result = await store.save(stateOf(ids), { shown: ids, reason: "turn" })
  if (result.saved) own.add(result.key)
  else if (result.reason !== "busy" && result.reason !== "full") throw new Error(result.message)
  counts[result.saved ? "saves" : "refusals"]++
}

async function read(): Promise<void> {
  const ids = randomIds()
  const prompt = withOther(ids, ids.length, 5, 99)
  const match = store.lookup(prompt)
  if (match === undefined) return void counts.misses++
  try {
    const bytes = await collect(store.read(match.key, { prompt }))
    if (Buffer.compare(bytes, stateOf(prompt.subarray(0, match.tokens)).snapshot()) !== 0)
      throw new Error(`checkpoint ${match.key} came back with other bytes`)
    counts.reads++
    if (!own.has(match.key)) counts.othersReads++
  } catch (error) {
    if (!(error instanceof KvStoreError) || error.code !== "MISSING") throw error
    counts.missing++
  }
}

async function work(end: number): Promise<void> {
  while (performance.now() < end) {
    const choice = random()
    if (choice < 0.5) await save()
    else if (choice < 0.95) await read()
    else if (choice < 0.99) await store.refresh()
    else await store.gc()
  }
}

const end = performance.now() + 1000 * Number(seconds)
await Promise.all([work(end), work(end), work(end)])
counts.evictions = store.stats.evictions
if (store.stats.damagedFiles > 0) throw new Error(`${store.stats.damagedFiles} damaged files`)
await store.close()
console.log(JSON.stringify(counts))
