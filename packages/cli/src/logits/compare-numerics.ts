import { formatNumber } from "@ds4/progress"
import type { Io } from "../io.ts"
import { loadEngine, type ModelFlags } from "../load-engine.ts"
import { progressOf } from "../progress-of.ts"
import { allLogits, defaultIds } from "./all-logits.ts"
import { divergence, type Divergence } from "./divergence.ts"
import { engineSwitches } from "./switches.ts"

interface CompareNumericsOptions {
  readonly io: Io
  readonly flags: ModelFlags
  readonly reference: "fast" | "trained" | "plain"
  /** Default: a fixed list. */
  readonly ids: readonly number[] | undefined
  readonly isJson: boolean
  readonly prepareNative: () => void
  readonly leaveOut: readonly string[]
}

/** Prints the distance of --numerics to the reference arithmetic over the same ids. */
export async function compareNumerics(options: CompareNumericsOptions): Promise<void> {
  const { io, flags, reference, isJson } = options
  const expected = await logitsWith(options, reference, io)
  const found = await logitsWith(options, flags.numerics, io)
  const distance = divergence(expected.logits, found.logits, found.vocab)
  io.out(
    isJson ? json(distance, reference, flags.numerics) : table(distance, reference, flags.numerics),
  )
}

async function logitsWith(
  { flags, reference, ids, prepareNative, leaveOut }: CompareNumericsOptions,
  numerics: ModelFlags["numerics"],
  io: Io,
): Promise<{ logits: Float32Array; vocab: number }> {
  const switches = numerics === reference ? {} : { switches: engineSwitches(leaveOut) }
  const { engine } = await loadEngine({ ...flags, numerics }, io, prepareNative, switches)
  const { vocab } = engine.model
  using progress = progressOf(io)
  const logits = allLogits(engine, ids ?? defaultIds(vocab), progress)
  await engine.close()
  return { logits, vocab }
}

function json(distance: Divergence, reference: string, compared: string): string {
  return `${JSON.stringify({
    schema: "ds4.numerics/1",
    reference,
    compared,
    positions: distance.positions,
    mean_kl: distance.meanKl,
    max_kl: distance.maxKl,
    top1_agreement: distance.top1Agreement,
    max_logit_difference: distance.maxLogitDifference,
    relative_rms: distance.relativeRms,
  })}\n`
}

function table(distance: Divergence, reference: string, compared: string): string {
  return [
    `${compared} against ${reference}, ${distance.positions} positions`,
    `  KL divergence      mean ${formatNumber(distance.meanKl)}, largest ` +
      `${formatNumber(distance.maxKl)} nats`,
    `  same top token     ${(distance.top1Agreement * 100).toFixed(2)} %`,
    `  logit difference   largest ${formatNumber(distance.maxLogitDifference)}, relative ` +
      `RMS ${formatNumber(distance.relativeRms)}`,
    "",
  ].join("\n")
}
