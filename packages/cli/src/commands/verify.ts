import { createHash } from "node:crypto"
import { verifyModelFile, type ModelFile } from "@ds4/model-file"
import { modelTokenizer } from "@ds4/tokenizer"
import { defineCommand } from "../command.ts"
import { EXIT } from "../errors.ts"
import { modelPath } from "../model-path.ts"
import { openModel } from "../open-model.ts"
import { progressOf } from "../progress-of.ts"

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

export const verify = defineCommand({
  name: "verify",
  usage: "[FILE] [FLAGS]",
  summary: "reads every weight: hashes the files, refuses scales and values that are no numbers",
  examples: ["ds4 verify model.gguf", "ds4 verify DeepSeek-V4-Flash/ --json"],
  maxPositionals: 1,
  run: async ({ flags, io, positionals }) => {
    const file = await openModel(modelPath(positionals[0] ?? flags.model, io), io)
    await modelTokenizer(file, { requireChat: false }) // a damaged vocabulary is damage, too
    const totalBytes = file.files.reduce((sum, { bytes }) => sum + bytes, 0)
    using progress = progressOf(io)
    progress.begin({ label: "checking values", unit: "bytes" })
    await verifyModelFile(file, { onProgress: (done, total) => progress.update(done, total) })
    progress.begin({ label: "hashing", unit: "bytes", total: totalBytes })
    const files = await hashFiles(file, (doneBytes) => progress.update(doneBytes))
    progress.stop()
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
