import { formatNumber } from "@ds4/progress"
import type { Io } from "../io.ts"
import { expertOptionsOf, loadEngine, type ModelFlags } from "../load-engine.ts"
import { progressOf } from "../progress-of.ts"
import { allLogits, defaultIds } from "./all-logits.ts"
import { divergence, type Divergence } from "./divergence.ts"

/**
 * Arithmetics of packed experts that are held against f32. fp8ref repeats the roundings of the
 * official recipe.
 */
const COMPARED = ["int8", "bf16", "fp8ref"] as const

interface CompareExpertsOptions {
  readonly io: Io
  readonly flags: ModelFlags
  readonly ids: readonly number[] | undefined
  readonly isJson: boolean
  readonly prepareNative: () => void
}

function row(name: string, { meanKl, maxKl, top1Agreement, relativeRms }: Divergence): string {
  return (
    `${name.padEnd(8)} ${formatNumber(meanKl).padStart(9)} ` +
    `${formatNumber(maxKl).padStart(9)} ${(top1Agreement * 100).toFixed(2).padStart(9)} % ` +
    `${formatNumber(relativeRms).padStart(12)}\n`
  )
}

/**
 * Prints how far each arithmetic of the routed experts moves the logits, everything else as
 * --numerics says.
 */
export async function compareExperts(options: CompareExpertsOptions): Promise<void> {
  const { io, flags, isJson } = options
  const reference = await logitsWith(options, "f32", io)
  const found: Record<string, Divergence> = {}
  for (const numerics of COMPARED) {
    const { logits, vocab } = await logitsWith(options, numerics, io)
    found[numerics] = divergence(reference.logits, logits, vocab)
  }
  const positions = found["int8"]?.positions ?? 0
  if (isJson) {
    io.out(json(found, flags.numerics, positions))
    return
  }
  io.out(`routed experts against f32, everything else ${flags.numerics}, ${positions} positions\n`)
  io.out("experts    mean KL    max KL    same top  relative RMS\n")
  for (const [name, each] of Object.entries(found)) io.out(row(name, each))
}

async function logitsWith(
  { flags, ids, prepareNative }: CompareExpertsOptions,
  numerics: "f32" | (typeof COMPARED)[number],
  io: Io,
): Promise<{ logits: Float32Array; vocab: number }> {
  const experts = { ...(await expertOptionsOf(flags)), place: "packed", numerics } as const
  const { engine } = await loadEngine(flags, io, prepareNative, { experts })
  const { vocab } = engine.model
  using progress = progressOf(io)
  const logits = allLogits(engine, ids ?? defaultIds(vocab), progress)
  await engine.close()
  return { logits, vocab }
}

function json(
  found: Readonly<Record<string, Divergence>>,
  numerics: string,
  positions: number,
): string {
  const distances = Object.entries(found).map(([name, each]) => [
    name,
    {
      mean_kl: each.meanKl,
      max_kl: each.maxKl,
      top1_agreement: each.top1Agreement,
      max_logit_difference: each.maxLogitDifference,
      relative_rms: each.relativeRms,
    },
  ])
  const report = {
    schema: "ds4.expert-numerics/1",
    reference: "f32",
    numerics,
    positions,
    experts: Object.fromEntries(distances) as unknown,
  }
  return `${JSON.stringify(report)}\n`
}
