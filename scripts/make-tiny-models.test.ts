import { expect, test } from "bun:test"
import { checkSum, missingTinyModels } from "./make-tiny-models.ts"
import { shardOf } from "./tiny-models/shards.ts"

test("the tiny models are there, and are those that the recorded values belong to", () => {
  expect(missingTinyModels()).toEqual([])
  const run = Bun.spawnSync([process.execPath, `${import.meta.dir}/make-tiny-models.ts`, "--check"])
  expect(run.stderr.toString()).toBe("")
  expect(run.exitCode).toBe(0)
})

test("other bytes are refused with both sums and what to do", () => {
  expect(() => checkSum("models/tiny/a", new Uint8Array(1), "00")).toThrow(
    /models\/tiny\/a has SHA-256 6e340b9c.*; expected 00\. Restore .*make-tiny-models\.ts/,
  )
})

test("layers are divided evenly among shards; embedding first, head and norm last", () => {
  const shard = (name: string) => shardOf(name, 5, 2)
  expect(
    ["embed.weight", "layers.0.x", "layers.2.x", "layers.3.x", "norm.weight"].map(shard),
  ).toEqual([0, 0, 0, 1, 1])
})
