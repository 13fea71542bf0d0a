// Makes the weights of the tiny models, which git does not hold, and checks them by SHA256SUMS.
// Usage: bun scripts/make-tiny-models.ts [--check | --tokenizer] [FOLDER...]
//   nothing      draws the weights of the folders, or of all models, where they are missing
//   --check      compares weights and tokenizer.json with what the scripts make
//   --tokenizer  writes models/tiny/tokenizer.json
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { drawWeights, type TinyConfig } from "./tiny-models/draw-weights.ts"
import { safetensors, shardOf, writeWhole } from "./tiny-models/shards.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const TOKENIZER = join(ROOT, "models/tiny/tokenizer.json")

/** Folder with config.json and SHA256SUMS -> the seed of its weights. */
const SEEDS: Readonly<Record<string, number>> = {
  "models/tiny": 20260101,
  "tests/vectors/tiny-b": 20260202,
}

interface Shard {
  readonly name: string
  readonly sha256: string
}

/** The weight files that a folder's SHA256SUMS names, in order. */
function shardsOf(folder: string): Shard[] {
  const sums = readFileSync(join(ROOT, folder, "SHA256SUMS"), "utf8")
  return [...sums.matchAll(/^([0-9a-f]{64}) {2}(\S+)$/gm)].map((match) => ({
    sha256: match[1] ?? "",
    name: match[2] ?? "",
  }))
}

/** Folders of tiny models that lack a weight file. */
export const missingTinyModels = (): string[] =>
  Object.keys(SEEDS).filter((folder) =>
    shardsOf(folder).some(({ name }) => !existsSync(join(ROOT, folder, name))),
  )

/** Refuses bytes that are not those which the recorded values belong to. */
export function checkSum(path: string, bytes: Uint8Array, expected: string): void {
  const found = new Bun.CryptoHasher("sha256").update(bytes).digest("hex")
  if (found !== expected)
    throw new Error(
      `${path} has SHA-256 ${found}; expected ${expected}. Restore scripts/tiny-models and ` +
        "SHA256SUMS, delete the file and run bun scripts/make-tiny-models.ts",
    )
}

async function make(folder: string): Promise<void> {
  const config = (await Bun.file(join(ROOT, folder, "config.json")).json()) as TinyConfig
  const tensors = [...drawWeights(config, SEEDS[folder] ?? 0)]
  const shards = shardsOf(folder)
  for (const [index, { name, sha256 }] of shards.entries()) {
    const own = tensors.filter(
      ([tensor]) => shardOf(tensor, config.num_hidden_layers, shards.length) === index,
    )
    const bytes = safetensors(new Map(own))
    checkSum(join(folder, name), bytes, sha256)
    await writeWhole(join(ROOT, folder), name, bytes)
  }
}

async function check(folder: string): Promise<void> {
  for (const { name, sha256 } of shardsOf(folder))
    checkSum(join(folder, name), await Bun.file(join(ROOT, folder, name)).bytes(), sha256)
}

async function tokenizerText(): Promise<string> {
  const { tinyTokenizerJson } = await import("./tiny-models/tokenizer.ts")
  return tinyTokenizerJson()
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { check: { type: "boolean" }, tokenizer: { type: "boolean" } },
  })
  const unknown = positionals.find((folder) => SEEDS[folder] === undefined)
  if (unknown !== undefined)
    throw new Error(`${unknown} is no tiny model; expected ${Object.keys(SEEDS).join(" or ")}`)
  const folders = positionals.length > 0 ? positionals : Object.keys(SEEDS)
  if (values.tokenizer === true) await Bun.write(TOKENIZER, await tokenizerText())
  else if (values.check === true) {
    await Promise.all(folders.map(check))
    if ((await Bun.file(TOKENIZER).text()) !== (await tokenizerText()))
      throw new Error(`${TOKENIZER} is not what its script writes; run this with --tokenizer`)
  } else {
    const missing = new Set(missingTinyModels())
    for (const folder of folders) if (missing.has(folder)) await make(folder)
  }
}

if (import.meta.main) await main(process.argv.slice(2))
