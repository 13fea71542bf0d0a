import type { QuantizeProgress } from "@ds4/engine"
import { outputTarget, STANDARD_OUTPUT, type ModelFile } from "@ds4/model-file"
import type { OptionValues } from "@ds4/options"
import { defineCommand } from "../command.ts"
import { CliError, EXIT, usageError } from "../errors.ts"
import { formatBytes } from "@ds4/progress"
import type { Io } from "../io.ts"
import { modelPath } from "../model-path.ts"
import { openModel } from "../open-model.ts"
import { progressOf } from "../progress-of.ts"

type QuantizeFlags = OptionValues<"recipe" | "experts" | "force">

interface Written {
  readonly schema: "ds4.quantize/1"
  readonly path: string
  readonly bytes: number
  readonly tensors: number
  readonly recipe: string
  readonly seconds: number
}

/** Writes the file and shows how far it is. */
async function write(
  file: ModelFile,
  output: string,
  flags: QuantizeFlags,
  io: Io,
  signal: AbortSignal,
): Promise<Written> {
  const { nativeConvertRows, quantize: writeQuantized } = await import("@ds4/engine")
  using progress = progressOf(io)
  progress.begin({ label: "writing", unit: "bytes" })
  const onProgress = ({ writtenBytes, fileBytes }: QuantizeProgress): void =>
    progress.update(writtenBytes, fileBytes)
  const startMs = performance.now()
  const plan = await writeQuantized(file, output, nativeConvertRows, {
    recipe: flags.recipe,
    overwrite: flags.force,
    signal,
    ...(flags.experts === undefined ? {} : { types: { experts: flags.experts } }),
    onProgress,
  })
  return {
    schema: "ds4.quantize/1",
    path: output,
    bytes: plan.fileBytes,
    tensors: plan.tensors.length,
    recipe: flags.recipe,
    seconds: (performance.now() - startMs) / 1000,
  }
}

function line({ path, tensors, bytes, seconds }: Written): string {
  return `${path}: ${tensors} tensors, ${formatBytes(bytes)}, ${seconds.toFixed(1)} s\n`
}

export const quantize = defineCommand({
  name: "quantize",
  usage: "INPUT OUTPUT.gguf [FLAGS]",
  summary: "makes a GGUF file from a safetensors folder or another GGUF file",
  details: [
    "On any error, a full disk included, nothing is left behind. OUTPUT - is standard output.",
    "Pipes and devices get the bytes and stay; through a symbolic link its file is written.",
  ].join("\n"),
  examples: [
    "ds4 quantize DeepSeek-V4-Flash/ flash.gguf",
    "ds4 quantize DeepSeek-V4-Flash/ flash-q8.gguf --recipe q8",
    "ds4 quantize demo demo.gguf --recipe lossless",
  ],
  maxPositionals: 2,
  run: async ({ flags, io, positionals, prepareNative }) => {
    const [input, output] = positionals
    if (input === undefined || output === undefined)
      throw usageError("expected an input and an output: ds4 quantize INPUT OUTPUT.gguf")
    if (output === STANDARD_OUTPUT && io.isOutputTerminal)
      throw usageError("a GGUF file is nothing for a terminal: name a file, or pipe the output")
    outputTarget(output, flags.force) // refused before the model is read
    const file = await openModel(modelPath(input, io), io)
    prepareNative()
    const abort = new AbortController()
    const onInterrupt = () => abort.abort(new Error("interrupted; nothing was written"))
    process.on("SIGINT", onInterrupt)
    try {
      const written = await write(file, output, flags, io, abort.signal)
      const report = output === STANDARD_OUTPUT ? io.err : io.out
      report(flags.json ? `${JSON.stringify(written)}\n` : line(written))
      return EXIT.done
    } catch (error) {
      if (!abort.signal.aborted) throw error
      throw new CliError(EXIT.interrupted, "interrupted; nothing was written", { cause: error })
    } finally {
      process.off("SIGINT", onInterrupt)
    }
  },
})
