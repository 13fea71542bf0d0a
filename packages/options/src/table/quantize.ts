import type { OptionSpec } from "../option-spec.ts"

/** The types of a new model file. */
export const QUANTIZE_OPTIONS = {
  recipe: {
    kind: "choice",
    value: "NAME",
    choices: ["mainline", "antirez", "lossless", "q8", "f32", "f16", "bf16"],
    default: "mainline",
    help:
      "types of the new file: as llama.cpp converts, as the antirez files, without loss, or one " +
      "type throughout",
    commands: ["quantize"],
  },
  experts: {
    kind: "choice",
    value: "TYPE",
    choices: ["F32", "F16", "BF16", "Q8_0", "MXFP4"],
    help:
      "type of the routed experts instead of the recipe's; MXFP4 only from FP4 or MXFP4, without " +
      "loss",
    commands: ["quantize"],
  },
  force: {
    kind: "switch",
    help: "overwrite an existing output",
    commands: ["quantize", "run", "bench", "logits"],
  },
} as const satisfies Record<string, OptionSpec>
