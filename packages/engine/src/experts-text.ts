import type { EngineDescription } from "./native/engine-handle.ts"

interface Calibration {
  readonly excluded: readonly { readonly isa: string; readonly reason: string }[]
}

/** Kernels that the measurement at load found wrong on this machine. */
function excludedText(calibration: unknown): string {
  const [first] = Array.isArray(calibration) ? (calibration as readonly Calibration[]) : []
  return (first?.excluded ?? []).map(({ isa, reason }) => `; not ${isa}: ${reason}`).join("")
}

/** Where the routed experts run, for people: what an engine's description says of them. */
export function expertsText(description: EngineDescription): string {
  const { experts } = description
  if (typeof experts !== "object" || experts === null) return "not told"
  const { place, reason, numerics, library } = experts as Readonly<Record<string, unknown>>
  if (place === "gpu") return "on the GPU"
  if (place !== "packed") return `from the mapped file (${String(reason)})`
  if (typeof library !== "object" || library === null)
    return `packed in the expert library, ${String(numerics)}`
  const { kernels, calibration } = library as Readonly<Record<string, unknown>>
  return (
    `packed in the expert library, ${String(numerics)}, ${String(kernels)}` +
    `${excludedText(calibration)}`
  )
}
