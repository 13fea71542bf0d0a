import { createHash } from "node:crypto"
import { openModelFile, verifyModelFile, type ModelFile } from "@ds4/model-file"
import { defineCommand } from "../command.ts"
import { EXIT } from "../errors.ts"
import { formatBytes } from "../format-size.ts"
import type { Io } from "../io.ts"
import { modelPath } from "../model-path.ts"

/** SHA-256 of every file, as the publishers of weights list them. */
async function hashFiles(
  file: ModelFile,
  progress: (doneBytes: number) => void,
): Promise<{ path: string; bytes: number; sha256: string }[]> {
  const hashes = []
  let doneBytes = 0
  for (const { path, bytes } of file.files) {
    const hash = createHash("sha256")
    for await (const chunk of Bun.file(path).stream()) {
      hash.update(chunk)
      doneBytes += chunk.length
      progress(doneBytes)
    }
    hashes.push({ path, bytes, sha256: hash.digest("hex") })
  }
  return hashes
}

function progressLine(io: Io, stage: string, totalBytes: number): (doneBytes: number) => void {
  let shownMs = performance.now()
  return (doneBytes) => {
    if (!io.isErrorTerminal || performance.now() - shownMs < 200) return
    shownMs = performance.now()
    io.err(`\r${stage} ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}\x1b[K`)
  }
}

export const verify = defineCommand({
  name: "verify",
  usage: "[FILE] [FLAGS]",
  summary: "reads every weight: hashes the files, refuses NaN scales and values",
  examples: ["ds4 verify model.gguf", "ds4 verify DeepSeek-V4-Flash/ --json"],
  maxPositionals: 1,
  run: async ({ flags, io, positionals }) => {
    const file = await openModelFile(modelPath(positionals[0] ?? flags.model, io))
    const totalBytes = file.files.reduce((sum, { bytes }) => sum + bytes, 0)
    const onProgress = progressLine(io, "checking", totalBytes)
    await verifyModelFile(file, { onProgress: (checkedBytes) => onProgress(checkedBytes) })
    const files = await hashFiles(file, progressLine(io, "hashing", totalBytes))
    if (io.isErrorTerminal) io.err("\r\x1b[K")
    if (flags.json) {
      const report = { schema: "ds4.verify/1", ok: true, tensors: file.tensors.length, files }
      io.out(`${JSON.stringify(report)}\n`)
    } else {
      for (const { path, sha256 } of files) io.out(`${sha256}  ${path}\n`)
      io.out(`${file.tensors.length} tensors in order\n`)
    }
    return EXIT.done
  },
})
