// The expert library's own benchmark: routed experts of Flash shape against what this machine can
// do.
import type { OptionValues } from "@ds4/options"
import { EXIT, type ExitCode } from "../errors.ts"
import { quietIo, type Io } from "../io.ts"
import { machineFacts } from "../machine-facts.ts"
import { progressOf } from "../progress-of.ts"

type MoeFlags = OptionValues<"threads" | "json" | "full" | "bench-suite" | "peer" | "ggml">

/**
 * Prints the tables as they are measured, or the report as JSON (schema ds4.bench-moe/3, see
 * native/README.md).
 */
export async function benchMoe(flags: MoeFlags, io: Io): Promise<ExitCode> {
  const { BENCH_SUITES, benchExperts, ggmlFolder } = await import("@ds4/kt-bridge")
  const ggml =
    flags.ggml ?? (flags.peer || flags["bench-suite"].includes("peer") ? ggmlFolder() : undefined)
  // Without --json the tables themselves show how far it is, except to a person in between.
  using progress = progressOf(flags.json || io.isErrorTerminal ? io : quietIo(io))
  const measuring = { label: "measuring experts" }
  const onText = (text: string): void => {
    progress.stop()
    io.out(text)
    if (text.endsWith("\n")) progress.begin(measuring)
  }
  progress.begin(measuring)
  const { schema: _, ...report } = await benchExperts({
    full: flags.full,
    suites: BENCH_SUITES.filter((suite) => flags["bench-suite"].includes(suite)),
    ...(flags.threads === 0 ? {} : { threads: flags.threads }),
    ...(ggml === undefined ? {} : { ggml }),
    ...(flags.json ? {} : { onText }),
  })
  progress.stop()
  if (flags.json) {
    const machine = await machineFacts()
    io.out(`${JSON.stringify({ schema: "ds4.bench-moe/3", machine, ...report })}\n`)
  }
  return EXIT.done
}
