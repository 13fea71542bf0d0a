import type { EngineDescription } from "./native/engine-handle.ts"

interface Calibration {
  readonly fused_tokens: number
  readonly tile_tokens: number
  readonly us: number
  readonly kernels: readonly { readonly from_tokens: number; readonly isa: string }[]
  readonly excluded: readonly { readonly isa: string; readonly reason: string }[]
}

/** A line about the measurement that the library made when it loaded the first layer. */
function calibrationText(calibration: unknown): string {
  const [first] = Array.isArray(calibration) ? (calibration as readonly Calibration[]) : []
  if (first === undefined) return ""
  const kernels = first.kernels
    .map(({ isa, from_tokens }) => `${isa} from ${from_tokens}`)
    .join(", ")
  const tiles = first.tile_tokens > 0 ? `, tiles from ${first.tile_tokens}` : ""
  const excluded = first.excluded.map(({ isa, reason }) => `; not ${isa}: ${reason}`).join("")
  return (
    ` (measured in ${(first.us / 1000).toFixed(0)} ms, tokens of an expert: ${kernels}, ` +
    `fused ` +
    `to ${first.fused_tokens}${tiles}${excluded})`
  )
}

/** Where the routed experts run, for people: what an engine's description says of them. */
export function expertsText(description: EngineDescription): string {
  const { experts } = description
  if (typeof experts !== "object" || experts === null) return "not told"
  const { place, reason, numerics, library } = experts as Readonly<Record<string, unknown>>
  if (place !== "packed") return `from the mapped file (${String(reason)})`
  if (typeof library !== "object" || library === null)
    return `packed in the expert library, ${String(numerics)}`
  const { kernels, calibration } = library as Readonly<Record<string, unknown>>
  return (
    `packed in the expert library, ${String(numerics)}, ${String(kernels)}` +
    `${calibrationText(calibration)}`
  )
}
