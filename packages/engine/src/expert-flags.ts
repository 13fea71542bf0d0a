// The flags about routed experts, as the command line and the server spell them, and what they mean
// to an engine.
import { EngineError } from "./errors.ts"
import type { ExpertOptions } from "./types.ts"

/** Values of those flags; 0, "auto", false and undefined are their defaults. */
export interface ExpertFlags {
  readonly "expert-weights": NonNullable<ExpertOptions["place"]>
  readonly "cpu-moe": boolean
  readonly "n-cpu-moe-layers": number
  readonly "kt-weight-path": string | undefined
  readonly "kt-cpuinfer": number
  readonly "kt-threadpool-count": number
  readonly "kt-method": string
  readonly "kt-numerics": NonNullable<ExpertOptions["numerics"]>
  readonly "kt-bridge-lib": string | undefined
}

/** Flags that only packed experts can follow. */
const PACKED_FLAGS = [
  "cpu-moe",
  "n-cpu-moe-layers",
  "kt-cpuinfer",
  "kt-threadpool-count",
  "kt-numerics",
  "kt-bridge-lib",
] as const
const DEFAULTS: ReadonlySet<unknown> = new Set([false, 0, "auto", undefined])

/** @throws EngineError ARGUMENT for flags that contradict each other */
export function expertOptions(flags: ExpertFlags): ExpertOptions {
  const asking = PACKED_FLAGS.filter((name) => !DEFAULTS.has(flags[name]))
  const place = flags["expert-weights"]
  if (place === "mapped" && asking.length > 0) {
    throw new EngineError(
      "ARGUMENT",
      `--expert-weights mapped leaves nothing for --${asking.join(", --")} to say: leave one of ` +
        `them out`,
    )
  }
  const { "kt-weight-path": weightsPath, "kt-bridge-lib": libraryPath, "kt-method": method } = flags
  return {
    place: asking.length > 0 ? "packed" : place,
    numerics: flags["kt-numerics"],
    threads: flags["kt-cpuinfer"],
    parts: flags["kt-threadpool-count"],
    layers: flags["n-cpu-moe-layers"],
    ...(method === "auto" ? {} : { method }),
    ...(weightsPath === undefined ? {} : { weightsPath }),
    ...(libraryPath === undefined ? {} : { libraryPath }),
  }
}
