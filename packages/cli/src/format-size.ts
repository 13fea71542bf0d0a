const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const

/** Bytes for people: three digits and a binary unit. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toPrecision(3)} ${UNITS[power] ?? ""}`
}

/** A count for people: 284.3 B, 13.2 M. */
export function formatCount(count: number): string {
  for (const [unit, size] of [
    ["T", 1e12],
    ["B", 1e9],
    ["M", 1e6],
    ["K", 1e3],
  ] as const) {
    if (count >= size) return `${(count / size).toPrecision(4)} ${unit}`
  }
  return String(count)
}
