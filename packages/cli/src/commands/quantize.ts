import { existsSync } from "node:fs"
import { ModelFileError, openModelFile } from "@ds4/model-file"
import { defineCommand } from "../command.ts"
import { CliError, EXIT, usageError } from "../errors.ts"
import { formatBytes } from "../format-size.ts"
import { modelPath } from "../model-path.ts"

export const quantize = defineCommand({
  name: "quantize",
  usage: "INPUT OUTPUT.gguf [FLAGS]",
  summary: "makes a GGUF file from a safetensors folder or another GGUF file",
  details: "On any error, a full disk included, nothing is left behind.",
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
    if (!flags.force && existsSync(output))
      throw usageError(`${output} exists already; choose another name, or --force overwrites it`)
    const file = await openModelFile(modelPath(input, io, flags.quiet))
    prepareNative()
    const { nativeConvertRows, quantize: writeQuantized } = await import("@ds4/engine")
    const abort = new AbortController()
    const onInterrupt = () => abort.abort(new Error("interrupted; nothing was written"))
    process.on("SIGINT", onInterrupt)
    const startMs = performance.now()
    try {
      const plan = await writeQuantized(file, output, nativeConvertRows, {
        recipe: flags.recipe,
        overwrite: flags.force,
        signal: abort.signal,
        ...(flags.experts === undefined ? {} : { types: { experts: flags.experts } }),
        onProgress: ({ tensor, tensorIndex, tensorCount, writtenBytes, fileBytes }) => {
          if (!flags.quiet && io.isErrorTerminal)
            io.err(
              `\r${tensorIndex + 1}/${tensorCount} ${formatBytes(writtenBytes)} of ` +
                `${formatBytes(fileBytes)} ${tensor}\x1b[K`,
            )
        },
      })
      if (!flags.quiet && io.isErrorTerminal) io.err("\r\x1b[K")
      const result = {
        schema: "ds4.quantize/1",
        path: output,
        bytes: plan.fileBytes,
        tensors: plan.tensors.length,
        recipe: flags.recipe,
        seconds: (performance.now() - startMs) / 1000,
      }
      io.out(
        flags.json
          ? `${JSON.stringify(result)}\n`
          : `${output}: ${result.tensors} tensors, ${formatBytes(result.bytes)}, ` +
              `${result.seconds.toFixed(1)} s\n`,
      )
      return EXIT.done
    } catch (error) {
      // what cannot be written says nothing about the model
      if (error instanceof ModelFileError && error.path === output)
        throw new CliError(EXIT.failed, error.message, { cause: error })
      if (!abort.signal.aborted) throw error
      io.err("ds4: interrupted; nothing was written\n")
      return EXIT.interrupted
    } finally {
      process.off("SIGINT", onInterrupt)
    }
  },
})
