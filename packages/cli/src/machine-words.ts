// The library's identifiers as their makers write them.

/** A member of something that came as JSON. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined
}

const ISA_NAMES: Readonly<Record<string, string>> = {
  generic: "plain",
  avx2: "AVX2",
  avx512: "AVX-512",
  amx: "AMX",
}

/** A kernel set: AVX-512 for avx512. */
export function isaName(isa: string): string {
  return ISA_NAMES[isa] ?? isa.replaceAll("_", "-")
}

/** A CPU feature: AVX-512 BF16 for avx512_bf16, AMX TILE for amx_tile. */
export function featureName(feature: string): string {
  const upper = feature.toUpperCase().replaceAll("_", " ")
  return upper.replace(/^AVX512 ?/, "AVX-512 ")
}
