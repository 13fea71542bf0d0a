export { ExpertPool, type LoadOptions } from "./expert-pool.ts"
export { type ExpertPoolOptions } from "./engine-options.ts"
export { type ExpertLayer, type PackedBytes } from "./expert-layer.ts"
export { type ExpertMatrix, type ExpertMethod, type ExpertShape } from "./expert-shape.ts"
export { type ForwardInput } from "./forward-call.ts"
export { type ExpertWeights, type StoredMatrix } from "./matrices.ts"
export { ExpertPoolError, type ExpertPoolErrorCode } from "./errors.ts"
export {
  type CalibrationStats,
  type ExpertPoolStats,
  type LayerSlots,
  type PartStats,
} from "./stats.ts"
export { benchExperts, ggmlFolder, type BenchOptions } from "./bench.ts"
export {
  BENCH_SUITES,
  type BenchReport,
  type BenchSuite,
  type BenchRow,
  type BenchTarget,
} from "./bench-report.ts"
