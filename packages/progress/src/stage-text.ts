import { formatDuration, formatNumber } from "./figures.ts"

/** Something that takes long enough to be watched. */
export interface ProgressStage {
  /** The work, as a person would say it: "packing weights". */
  readonly label: string
  /** How `done` and `total` are counted. */
  readonly unit?: "bytes" | "tokens" | "items"
  /** The end of the count; 0 or undefined: not known. */
  readonly total?: number
}

interface StageState {
  readonly done: number
  readonly elapsedMs: number
  /** Units a second over the last seconds; undefined before anything has moved. */
  readonly rate: number | undefined
}

/** Bytes a second as the makers of disks and memory count them. */
function byteRate(rate: number): string {
  return rate >= 1e8 ? `${formatNumber(rate / 1e9)} GB/s` : `${formatNumber(rate / 1e6, 2)} MB/s`
}

function byteCount(done: number, total: number): string {
  const [size, unit, decimals] =
    total >= 1e9 ? ([1e9, "GB", 1] as const) : ([1e6, "MB", 0] as const)
  return `${(done / size).toFixed(decimals)} of ${(total / size).toFixed(decimals)} ${unit}`
}

/**
 * One line about a stage: `packing weights: 12.4 of 86.7 GB (14 %), 1.85 GB/s, 0:40 left` or
 * `reading 18432/65536 (28 %) 310 t/s, 2:30 left`.
 */
export function stageText(
  { label, unit, total = 0 }: ProgressStage,
  { done, elapsedMs, rate }: StageState,
): string {
  const waited = `${Math.round(elapsedMs / 1000)} s`
  if (unit === undefined || total <= 0) return `${label}… ${waited}`
  const share = `(${Math.min(100, Math.floor((done * 100) / total))} %)`
  const isMoving = rate !== undefined && rate > 0
  const left = isMoving ? `${formatDuration((total - done) / rate)} left` : waited
  if (unit === "bytes") {
    const speed = isMoving ? [byteRate(rate)] : []
    return [`${label}: ${byteCount(done, total)} ${share}`, ...speed, left].join(", ")
  }
  const speed = unit === "tokens" && isMoving ? ` ${formatNumber(rate)} t/s` : ""
  return `${label} ${done}/${total} ${share}${speed}, ${left}`
}
