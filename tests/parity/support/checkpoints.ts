// The two recorded checkpoints, as safetensors and as a GGUF that this project wrote from them.
// BF16 and MXFP4 hold every released FP8 and FP4 value exactly, so both containers must give the
// same numbers.
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import {
  nativeConvertRows,
  openEngine,
  quantize,
  type EngineOptions,
  type NativeEngine,
  type RecipeName,
} from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"

export const CHECKPOINTS = {
  "tiny-a": resolve(import.meta.dir, "../../../models/tiny"),
  "tiny-b": resolve(import.meta.dir, "../../vectors/tiny-b"),
} as const
export type CheckpointName = keyof typeof CHECKPOINTS
export const CHECKPOINT_NAMES = Object.keys(CHECKPOINTS) as CheckpointName[]

const folder = mkdtempSync(join(tmpdir(), "ds4-parity-"))
const written = new Map<string, Promise<string>>()

/** Path of the checkpoint as a GGUF of a recipe, written once per test process. */
export function ggufOf(name: CheckpointName, recipe: RecipeName): Promise<string> {
  const key = `${name}-${recipe}`
  const existing = written.get(key)
  if (existing !== undefined) return existing
  const target = join(folder, `${key}.gguf`)
  const path = openModelFile(CHECKPOINTS[name])
    .then(async (file) => quantize(file, target, nativeConvertRows, { recipe }))
    .then(() => target)
  written.set(key, path)
  return path
}

export type Container = "safetensors" | "gguf"
export const CONTAINERS: readonly Container[] = ["safetensors", "gguf"]

/** Where routed experts run: both are held against the same records. */
export const PLACES = ["mapped", "packed"] as const
export type Place = (typeof PLACES)[number]

/**
 * Opens a checkpoint on one thread unless the options say otherwise. In models as small as these,
 * threads wait for one another longer than they compute, and the more so beside other tests.
 */
export async function openCheckpoint(
  name: CheckpointName,
  container: Container,
  options: EngineOptions,
): Promise<NativeEngine> {
  const path = container === "gguf" ? await ggufOf(name, "lossless") : CHECKPOINTS[name]
  const backend = process.env.DS4_TEST_BACKEND === "cuda" ? "cuda" : "cpu"
  return await openEngine(await openModelFile(path), undefined, {
    threads: 1,
    backend,
    ...options,
  })
}
