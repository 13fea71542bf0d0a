// A process that saves checkpoints until it is killed, and names each one that is safe.
// Usage: bun save-forever.ts FOLDER SEED
import { randomNumbers } from "./file-map.ts"
import { openTestStore } from "./open-test-store.ts"
import { SyntheticState, tokenIds, withOther } from "./synthetic-state.ts"

const [folder = "", seed = "1"] = Bun.argv.slice(2)
const random = randomNumbers(Number(seed))
const store = await openTestStore(folder)

/** Conversations that grow, fork and begin anew. */
let ids = tokenIds(300, Number(seed))
for (;;) {
  const choice = random()
  if (choice < 0.1) ids = tokenIds(300, Math.floor(random() * 1e6))
  else {
    const from = choice < 0.3 ? Math.floor(random() * ids.length) + 1 : ids.length
    ids = withOther(ids, from, 1 + Math.floor(random() * 1500), Math.floor(random() * 1e6))
  }
  const state = new SyntheticState(ids, { bytesPerToken: 1, recentBytes: 40 })
  const result = await store.save(state, { shown: ids, reason: "turn" })
  if (!result.saved) throw new Error(result.message)
  process.stdout.write(`${result.key}\n`)
}
