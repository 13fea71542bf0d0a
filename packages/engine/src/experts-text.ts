import type { EngineDescription } from "./native/engine-handle.ts"

/** Where the routed experts run, for people: what an engine's description says of them. */
export function expertsText(description: EngineDescription): string {
  const { experts } = description
  if (typeof experts !== "object" || experts === null) return "not told"
  const { place, reason, numerics, library } = experts as Readonly<Record<string, unknown>>
  if (place !== "packed") return `from the mapped file (${String(reason)})`
  const kernels = typeof library === "object" && library !== null ? `, ${String((library as Readonly<Record<string, unknown>>)["kernels"])}` : ""
  return `packed in the expert library, ${String(numerics)}${kernels}`
}
