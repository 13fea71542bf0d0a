// Runs a second tokenizer on its own thread, for text that cannot be cut into slices.
import { openModelFile } from "@ds4/model-file"
import { loadTokenizer, type Tokenizer } from "@ds4/tokenizer"
import type { EncodeAnswer, EncodeCall } from "./background-encoder.ts"

declare const self: Worker

let loading: Promise<Tokenizer> | undefined

async function load(modelPath: string): Promise<Tokenizer> {
  const { tokenizer } = await openModelFile(modelPath)
  if (tokenizer === undefined) throw new Error(`${modelPath} holds no vocabulary`)
  return loadTokenizer(tokenizer)
}

self.onmessage = async ({ data: { id, modelPath, segments } }: MessageEvent<EncodeCall>) => {
  try {
    const tokenizer = await (loading ??= load(modelPath))
    const ids = Int32Array.from(tokenizer.encodeSegments(segments))
    self.postMessage({ id, ids } satisfies EncodeAnswer, [ids.buffer])
  } catch (error) {
    self.postMessage({
      id,
      fault: error instanceof Error ? error.message : String(error),
    } satisfies EncodeAnswer)
  }
}
