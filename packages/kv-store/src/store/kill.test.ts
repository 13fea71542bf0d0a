import { expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { randomNumbers } from "../testing/file-map.ts"
import { openTestStore } from "../testing/open-test-store.ts"
import { collect } from "../testing/synthetic-state.ts"
import { temporaryFolder } from "../testing/temporary-folder.ts"

/** Processes that are killed; DS4_KV_KILLS=1000 for a long run. */
const KILLS = Number(process.env.DS4_KV_KILLS ?? 40)
const CHILD = join(import.meta.dir, "../testing/save-forever.ts")
const SEED = 20260501

/** Collects what a process prints; `first` resolves when it has printed anything. */
function outputOf(stream: ReadableStream<Uint8Array>): {
  first: Promise<void>
  all: Promise<string>
} {
  let begun = (): void => undefined
  const first = new Promise<void>((resolve) => (begun = resolve))
  const read = async (): Promise<string> => {
    const parts: Uint8Array[] = []
    for await (const part of stream) {
      parts.push(part)
      begun()
    }
    begun()
    return Buffer.concat(parts).toString()
  }
  return { first, all: read() }
}

/** Runs a process until a random moment. @returns the keys that it called safe */
async function killedSaves(folder: string, seed: number, random: () => number): Promise<string[]> {
  const child = Bun.spawn([process.execPath, CHILD, folder, String(seed)], {
    stdout: "pipe",
    stderr: "pipe",
  })
  const { first, all } = outputOf(child.stdout)
  // Some are killed while they open the store, the others while they save.
  if (random() < 0.9) await first
  await Bun.sleep(random() * 50)
  child.kill("SIGKILL")
  await child.exited
  expect(await new Response(child.stderr).text()).toBe("")
  // A key that is cut in the middle was not told whole.
  return (await all).split("\n").filter((line) => line.length === 64)
}

test(
  `after ${KILLS} processes were killed while they saved, every checkpoint verifies, none is lost`,
  async () => {
    const folder = temporaryFolder()
    const random = randomNumbers(SEED)
    const safe = new Set<string>()
    let [interrupted, saves] = [0, 0]
    await (await openTestStore(folder)).close()
    for (let round = 0; round < KILLS; round++) {
      for (const key of await killedSaves(folder, SEED + round, random)) {
        safe.add(key)
        saves++
      }
      interrupted += readdirSync(join(folder, "tmp")).length
      await using store = await openTestStore(folder)
      const usable = new Set(
        store
          .list()
          .filter((each) => each.isUsable)
          .map(({ key }) => key),
      )
      const lost = [...safe].filter((key) => !usable.has(key))
      expect({ round, lost, all: usable.size === store.list().length }).toEqual({
        round,
        lost: [],
        all: true,
      })
      if (round % 20 !== 19 && round !== KILLS - 1) continue
      expect((await store.verify()).damaged).toEqual([])
      for (const key of usable) await collect(store.read(key))
      expect(readdirSync(join(folder, "tmp"))).toEqual([])
      // An old folder makes the next rounds slow, so they begin with a new one's size.
      if (usable.size > 300)
        for (const key of usable) {
          await store.remove(key)
          safe.delete(key)
        }
    }
    console.log(`${KILLS} kills, ${interrupted} in the middle of a file; ${saves} saves were safe`)
    expect(interrupted).toBeGreaterThan(KILLS / 10)
  },
  { timeout: 600_000 },
)
