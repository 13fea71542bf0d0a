import type { OptionSpec } from "../option-spec.ts"

/** Logits, comparisons of arithmetic, benchmarks and question sets. */
export const MEASUREMENT_OPTIONS = {
  ids: { kind: "path", value: "FILE", help: "JSON array of token ids", commands: ["logits"] },
  "raw-logits": {
    kind: "path",
    value: "OUT",
    help: "write logits as little-endian f32 [positions, vocab]",
    commands: ["logits"],
    perCommand: { logits: { spelling: "raw" } },
  },
  dump: {
    kind: "path",
    value: "FILE",
    help: "write every intermediate value as safetensors",
    commands: ["logits"],
  },
  compare: {
    kind: "choice",
    value: "MODE",
    choices: ["trained", "plain", "fast", "experts"],
    help:
      "print the distance to this arithmetic (KL, top-1 agreement) instead of logits; experts: " +
      "of each --kt-numerics from f32",
    commands: ["logits"],
  },
  "leave-out": {
    kind: "list",
    value: "NAME",
    choices: ["kv-rounding", "index-rounding", "shared-clamp", "fast-activations"],
    help: "leave out one rounding of training, to compare with engines that do; repeatable",
    commands: ["logits"],
  },
  "prompt-tokens": {
    kind: "size",
    value: "N",
    min: 1,
    default: 256,
    help: "tokens of prefill in one measurement",
    commands: ["bench"],
  },
  "gen-tokens": {
    kind: "size",
    value: "N",
    min: 1,
    default: 64,
    help: "tokens of decode in one measurement",
    commands: ["bench"],
  },
  repeats: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 1000,
    default: 5,
    help: "measurements; median and spread are printed",
    commands: ["bench"],
  },
  csv: {
    kind: "path",
    value: "FILE",
    help: "also write a CSV file; - prints it in place of the table",
    commands: ["bench"],
  },
  full: {
    kind: "switch",
    help: "bench moe: every measurement at full size, some minutes",
    commands: ["bench"],
  },
  "bench-suite": {
    kind: "list",
    value: "NAME",
    choices: ["rates", "decode", "prefill", "scaling", "methods", "calibration", "loading", "peer"],
    help: "bench moe: only this suite of measurements; repeatable",
    commands: ["bench"],
    perCommand: { bench: { spelling: "suite" } },
  },
  peer: {
    kind: "switch",
    help: "bench moe: also llama.cpp's kernels on the same experts, from its installed npm package",
    commands: ["bench"],
  },
  ggml: {
    kind: "path",
    value: "DIR",
    help: "bench moe: compare with the ggml libraries of this folder",
    commands: ["bench"],
  },
  suite: {
    kind: "choice",
    value: "NAME",
    choices: ["demo"],
    default: "demo",
    help: "question set",
    commands: ["eval"],
  },
} as const satisfies Record<string, OptionSpec>
