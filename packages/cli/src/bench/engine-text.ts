import { formatBytes, formatWhole } from "@ds4/progress"
import { isaName } from "../machine-words.ts"

/** An engine's description in a line for people; --json has all of it. */
export function engineText(engine: Readonly<Record<string, unknown>>): string {
  const { isa, threads, cores, numerics, activations } = engine
  const place =
    engine["backend"] === "cuda"
      ? [`on the GPU, ${String(engine["gpu"])}`]
      : [
          "on the CPU",
          `${isaName(String(isa))} kernels`,
          `${threads === 1 ? "1 thread" : `${String(threads)} threads`} on ${String(cores)} cores`,
        ]
  const parts = [
    ...place,
    `${String(numerics)} numerics with ${String(activations)} activations`,
    `steps of at most ${formatWhole(Number(engine["max_step_tokens"]))} tokens`,
    `${formatBytes(Number(engine["mapped_bytes"]))} of weights mapped`,
  ]
  return parts.join(", ")
}
