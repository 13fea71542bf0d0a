// Derives models/demo/demo.gguf: git holds the demo model once, as safetensors, and the GGUF is
// what ds4 makes of it.
// Usage: bun scripts/demo-gguf.ts (does nothing when the file is newer than everything it is made
// from)
import { statSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { isDemoGgufCurrent } from "./prepare.ts"

const FOLDER = fileURLToPath(new URL("../models/demo", import.meta.url))

/**
 * Writes demo.gguf into a folder of safetensors, without loss; the file appears complete or not at
 * all.
 * @returns its path
 */
export async function deriveGguf(folder: string): Promise<string> {
  const { nativeConvertRows, quantize } = await import("@ds4/engine")
  const { openModelFile } = await import("@ds4/model-file")
  const target = join(folder, "demo.gguf")
  const begunMs = Date.now()
  await quantize(await openModelFile(folder), target, nativeConvertRows, {
    recipe: "lossless",
    overwrite: true,
  })
  utimesSync(target, begunMs / 1000, begunMs / 1000) // what changed while it was written is newer
  return target
}

if (import.meta.main && !isDemoGgufCurrent(FOLDER)) {
  const target = await deriveGguf(FOLDER)
  console.error(
    `ds4: made ${target.slice(FOLDER.length - "models/demo".length)} from the safetensors ` +
      `beside it, ${(statSync(target).size / 2 ** 20).toFixed(1)} MiB`,
  )
}
