// Figures as people read them: no exponents, a unit that keeps them short.

const whole = new Intl.NumberFormat("en-US")

/** A whole number with its thousands apart: 131,072. */
export function formatWhole(count: number): string {
  return whole.format(count)
}

/** Smaller numbers would be rows of zeros. */
const SMALLEST = 1e-6

/** A number with so many significant digits, whatever its size, and never an exponent. */
export function formatNumber(value: number, digits = 3): string {
  if (value === 0 || !Number.isFinite(value)) return String(value)
  if (Math.abs(value) < SMALLEST) return `under ${SMALLEST.toFixed(6)}`
  const magnitude = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(digits)))))
  return value.toFixed(Math.min(100, Math.max(0, digits - 1 - magnitude)))
}

/** Divides by `base` until the figure, as it is written, is below it or the units are used up. */
function scaled(value: number, base: number, units: readonly string[], digits: number): string {
  let power = 0
  let rest = value
  while (power < units.length - 1 && Number(formatNumber(rest, digits)) >= base) {
    rest /= base
    power++
  }
  const figure = power === 0 ? String(value) : formatNumber(rest, digits)
  return `${figure} ${units[power] ?? ""}`.trimEnd()
}

/** Bytes: three digits and a binary unit. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, [bytes === 1 ? "byte" : "bytes", "KiB", "MiB", "GiB", "TiB", "PiB"], 3)
}

/** A count in four digits: 284.3 B, 13.20 M. */
export function formatCount(count: number): string {
  return scaled(count, 1000, ["", "K", "M", "B", "T"], 4)
}

/** A time span in seconds: 2:30, 1:02:30. */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds))
  const padded = (value: number) => String(Math.floor(value) % 60).padStart(2, "0")
  const tail = `${padded(total / 60)}:${padded(total)}`
  return total >= 3600 ? `${Math.floor(total / 3600)}:${tail}` : tail.replace(/^0(?=\d)/, "")
}
