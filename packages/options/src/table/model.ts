import { ENGINE_COMMANDS } from "../command-name.ts"
import type { OptionSpec } from "../option-spec.ts"

/** The model and the engine that runs it. */
export const MODEL_OPTIONS = {
  model: {
    kind: "path",
    short: "m",
    value: "PATH",
    help:
      'GGUF file, first of a split set, or safetensors folder; default: "demo", the ' +
      "embedded toy",
    commands: [...ENGINE_COMMANDS, "tokenize", "detokenize", "render", "inspect", "verify"],
  },
  ctx: {
    kind: "size",
    short: "c",
    value: "N",
    min: 1,
    max: 1_048_576,
    help: "context in tokens; 64k and 1m are understood; default: what the model was made for",
    commands: ENGINE_COMMANDS,
    perCommand: {
      serve: {
        help:
          "context tokens of one session; 64k and 1m are understood; default: 32k, or less if " +
          "the model was made for less",
      },
    },
  },
  backend: {
    kind: "choice",
    value: "NAME",
    choices: ["auto", "cpu", "cuda"],
    default: "auto",
    help: "where the model runs; auto: on the CPU; cuda: all of it on one GPU",
    commands: ENGINE_COMMANDS,
  },
  numerics: {
    kind: "choice",
    value: "MODE",
    choices: ["fast", "trained", "plain"],
    default: "fast",
    help:
      "arithmetic: trained: the roundings of training; fast: these and int8 activations; " +
      "plain: none (docs/numerics.md)",
    commands: ENGINE_COMMANDS,
  },
  threads: {
    kind: "integer",
    short: "t",
    value: "N",
    min: 0,
    max: 1024,
    default: 0,
    help: "compute threads; 0: one per usable core, a single one for a very small model",
    commands: ENGINE_COMMANDS,
  },
  isa: {
    kind: "choice",
    value: "SET",
    choices: ["auto", "generic", "avx2", "avx512"],
    default: "auto",
    help: "CPU instruction set of the kernels; auto: the best that this CPU has",
    commands: ENGINE_COMMANDS,
  },
  "prefill-chunk": {
    kind: "size",
    value: "N",
    min: 1,
    max: 65_536,
    help: "most new tokens in one engine step",
    commands: ENGINE_COMMANDS,
  },
} as const satisfies Record<string, OptionSpec>
