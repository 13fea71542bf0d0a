import { ENGINE_COMMANDS } from "../command-name.ts"
import type { OptionSpec } from "../option-spec.ts"

/** Where routed experts are kept, and how the expert library runs them. */
export const EXPERT_OPTIONS = {
  "expert-weights": {
    kind: "choice",
    value: "PLACE",
    choices: ["auto", "packed", "mapped"],
    default: "auto",
    help:
      "routed experts: packed into memory for the expert library, mapped from the file, or " +
      "packed if everything fits",
    commands: ENGINE_COMMANDS,
  },
  "cpu-moe": {
    kind: "switch",
    help: "routed experts on the CPU: on this build the same as --expert-weights packed",
    commands: ENGINE_COMMANDS,
  },
  "n-cpu-moe-layers": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 65_536,
    default: 0,
    help: "pack the experts of the first N layers only; 0: of all",
    commands: ENGINE_COMMANDS,
  },
  "kt-weight-path": {
    kind: "path",
    value: "DIR",
    help: "take routed experts from the official safetensors in DIR, all else from --model",
    commands: ENGINE_COMMANDS,
  },
  "kt-cpuinfer": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 4096,
    default: 0,
    help:
      "threads of the expert library, pinned to cores; 0: the engine's own, or all cores with " +
      "several NUMA nodes",
    commands: ENGINE_COMMANDS,
  },
  "kt-threadpool-count": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 64,
    default: 0,
    help: "thread pools of the expert library, each on a NUMA node; 0: one for every node",
    commands: ENGINE_COMMANDS,
  },
  "kt-method": {
    kind: "choice",
    value: "NAME",
    choices: ["auto", "MXFP4", "FP8", "BF16", "Q8_0", "Q2_K", "Q4_K", "IQ2_XXS"],
    default: "auto",
    help: "storage type of the routed experts; a model with another one is refused",
    commands: ENGINE_COMMANDS,
  },
  "kt-numerics": {
    kind: "choice",
    value: "MODE",
    choices: ["auto", "int8", "bf16", "fp8ref", "f32"],
    default: "auto",
    help:
      "arithmetic of packed experts; auto: int8 with fast numerics, f32 otherwise " +
      "(docs/numerics.md)",
    commands: ENGINE_COMMANDS,
  },
  "kt-bridge-lib": {
    kind: "path",
    value: "FILE",
    help: "expert library to use instead of ours",
    commands: ENGINE_COMMANDS,
  },
} as const satisfies Record<string, OptionSpec>
