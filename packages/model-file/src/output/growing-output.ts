import { constants } from "node:fs"
import { open } from "node:fs/promises"
import { standardOutputSink, streamSink, type ByteSink } from "./byte-sink.ts"
import { asOutputError } from "./output-error.ts"
import { outputTarget } from "./output-target.ts"
import { openStream } from "./write-output.ts"

/** An output that is of use before it is complete, so that its bytes are there as they come. */
export interface GrowingOutput extends AsyncDisposable {
  readonly sink: ByteSink
}

/**
 * Opens an output whose beginning is kept when its writer is interrupted; `-` is standard output.
 * @throws OutputError as writeOutput does
 */
export async function openGrowingOutput(
  path: string,
  options: { readonly overwrite?: boolean } = {},
): Promise<GrowingOutput> {
  const target = outputTarget(path, options.overwrite === true)
  if (target.kind === "standard output")
    return { sink: standardOutputSink(), [Symbol.asyncDispose]: () => Promise.resolve() }
  const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW } = constants
  const handle =
    target.kind === "stream"
      ? await openStream(target.path, target.isPipe)
      : await open(
          target.path,
          O_WRONLY | O_NOFOLLOW | (target.exists ? O_TRUNC : O_CREAT | O_EXCL),
          0o666,
        ).catch((error: unknown) => {
          throw asOutputError(error, path)
        })
  return { sink: streamSink(handle, path), [Symbol.asyncDispose]: () => handle.close() }
}
