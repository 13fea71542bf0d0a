import type { Progress } from "./progress.ts"

/** A step of loading a model, as the engine tells it. */
interface LoadStep {
  readonly stage: "file" | "vocabulary" | "weights" | "packing"
  readonly doneBytes: number
  /** 0: not known. */
  readonly totalBytes: number
}

const LABELS: Readonly<Record<LoadStep["stage"], string>> = {
  file: "opening the model",
  vocabulary: "reading the vocabulary",
  weights: "preparing the weights",
  packing: "packing weights",
}

/** Shows the steps of loading a model, a stage each. */
export function reportLoad(progress: Progress): (step: LoadStep) => void {
  let shown: string | undefined
  return ({ stage, doneBytes, totalBytes }) => {
    if (stage !== shown) progress.begin({ label: LABELS[stage], unit: "bytes", total: totalBytes })
    shown = stage
    progress.update(doneBytes, totalBytes)
  }
}
