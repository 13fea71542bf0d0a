// Shape, sizes and inventory of a model file, from its headers alone.
// Usage: bun examples/inspect.ts [MODEL]
import { describeModelFile, ModelFileError, openModelFile } from "@ds4/model-file"

try {
  const file = await openModelFile(process.argv[2] ?? "models/demo")
  const { config } = file
  console.log(`${config.layers} layers, hidden ${config.hidden}, vocab ${config.vocab}`)
  console.log(`${config.experts} experts, ${config.expertsPerToken} of them for a token`)
  for (const { group, tensors, bytes, types } of describeModelFile(file).groups)
    console.log(`${group}: ${tensors} tensors, ${bytes} bytes, ${Object.keys(types).join(" ")}`)
} catch (error) {
  if (!(error instanceof ModelFileError)) throw error
  console.error(`${error.code}: ${error.message}`) // truncated, foreign or damaged
  process.exitCode = 1
}
