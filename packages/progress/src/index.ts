export { formatBytes, formatCount, formatDuration, formatNumber, formatWhole } from "./figures.ts"
export { Progress, type ProgressScreen } from "./progress.ts"
export type { ProgressStage } from "./stage-text.ts"
export { reportLoad } from "./report-load.ts"
