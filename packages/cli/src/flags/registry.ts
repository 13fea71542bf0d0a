// Every flag of every command, once. Help, the DS4_ variables, the configuration file and
// docs/environment.md come from this table; a command only lists the names it takes.
import type { FlagSpec, FlagValue } from "./flag-spec.ts"

export const FLAGS = {
  // model and engine
  model: {
    kind: "path",
    short: "m",
    value: "PATH",
    help:
      'GGUF file, first of a split set, or safetensors folder; default: "demo", the ' +
      "embedded toy",
  },
  ctx: {
    kind: "size",
    short: "c",
    value: "N",
    min: 1,
    max: 1_048_576,
    help: "context in tokens; 64k and 1m are understood; default: what the model was made for",
  },
  backend: {
    kind: "choice",
    value: "NAME",
    choices: ["auto", "cpu", "cuda"],
    default: "auto",
    help: "where the model runs; never falls back silently",
  },
  numerics: {
    kind: "choice",
    value: "MODE",
    choices: ["fast", "trained", "plain"],
    default: "fast",
    help:
      "arithmetic: trained-in roundings with fast activations, exact ones, or none " +
      "(docs/numerics.md)",
  },
  threads: {
    kind: "integer",
    short: "t",
    value: "N",
    min: 0,
    max: 1024,
    default: 0,
    help: "worker threads; 0: as many as pay",
  },
  isa: {
    kind: "choice",
    value: "SET",
    choices: ["auto", "generic", "avx2", "avx512"],
    default: "auto",
    help: "CPU kernel set",
  },
  "prefill-chunk": {
    kind: "size",
    value: "N",
    min: 1,
    max: 65_536,
    help: "most new tokens in one engine step",
  },
  "expert-weights": {
    kind: "choice",
    value: "PLACE",
    choices: ["auto", "packed", "mapped"],
    default: "auto",
    help:
      "routed experts: packed into memory for the expert library, mapped from the file, or " +
      "packed if everything fits",
  },
  "cpu-moe": {
    kind: "switch",
    help: "routed experts on the CPU: on this build the same as --expert-weights packed",
  },
  "n-cpu-moe-layers": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 65_536,
    default: 0,
    help: "pack the experts of the first N layers only; 0: of all",
  },
  "kt-weight-path": {
    kind: "path",
    value: "DIR",
    help:
      "take the routed experts from the official safetensors in DIR, everything else from " +
      "--model",
  },
  "kt-cpuinfer": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 4096,
    default: 0,
    help:
      "threads of the expert library, pinned to cores; 0: the engine's own, or all cores " +
      "with " +
      "several NUMA nodes",
  },
  "kt-threadpool-count": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 64,
    default: 0,
    help: "thread pools of the expert library, one per NUMA node; 0: as many as there are nodes",
  },
  "kt-method": {
    kind: "choice",
    value: "NAME",
    choices: ["auto", "MXFP4", "FP8", "BF16", "Q8_0", "Q2_K", "Q4_K", "IQ2_XXS"],
    default: "auto",
    help: "refuse a model whose routed experts are stored otherwise",
  },
  "kt-numerics": {
    kind: "choice",
    value: "MODE",
    choices: ["auto", "int8", "bf16", "fp8ref", "f32"],
    default: "auto",
    help:
      "arithmetic of packed experts; auto: int8 with fast numerics, f32 otherwise " +
      "(docs/numerics.md)",
  },
  "kt-bridge-lib": { kind: "path", value: "FILE", help: "expert library to use instead of ours" },
  "leave-out": {
    kind: "list",
    value: "NAME",
    choices: ["kv-rounding", "index-rounding", "shared-clamp", "fast-activations"],
    help: "leave out one trained-in rounding, to compare with engines that do; repeatable",
  },
  // generation
  "max-tokens": {
    kind: "size",
    short: "n",
    value: "N",
    min: 1,
    help: "most tokens of an answer; default: the room left in the context",
  },
  temp: {
    kind: "number",
    value: "T",
    min: 0,
    max: 100,
    default: 1,
    help: "sampling temperature; 0 takes the likeliest token",
  },
  "top-p": {
    kind: "number",
    value: "P",
    min: 0,
    max: 1,
    default: 1,
    help: "keep the likeliest tokens up to this total probability",
  },
  "top-k": {
    kind: "integer",
    value: "K",
    min: 0,
    max: 248_320,
    default: 0,
    help: "keep the K likeliest tokens; 0: off; in logits: how many are printed",
  },
  "min-p": {
    kind: "number",
    value: "P",
    min: 0,
    max: 1,
    default: 0.05,
    help: "drop tokens below this share of the likeliest one's probability",
  },
  seed: {
    kind: "integer",
    value: "N",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    help: "seed of the sampler; default: from the clock",
  },
  stop: { kind: "list", value: "TEXT", help: "end the answer at this text; repeatable" },
  think: {
    kind: "choice",
    value: "LEVEL",
    choices: ["off", "low", "high", "max"],
    bare: "high",
    help: "reasoning before the answer; default: the checkpoint's own; --no-think is --think=off",
  },
  "reasoning-budget": {
    kind: "size",
    value: "N",
    min: 1,
    help: "close the reasoning after this many tokens",
  },
  "keep-reasoning": {
    kind: "choice",
    value: "MODE",
    choices: ["cache", "never"],
    default: "cache",
    help:
      "thinking of earlier turns without tools: cache goes on with the session that " +
      "holds it, " +
      "never reads the conversation again without it",
  },
  system: { kind: "text", value: "TEXT", help: "system text" },
  "system-file": { kind: "path", value: "FILE", help: "system text from a file" },
  // input and output
  file: { kind: "path", short: "f", value: "FILE", help: "read the prompt or text from a file" },
  prompt: {
    kind: "text",
    short: "p",
    value: "TEXT",
    help: "the prompt; the same as giving it as an argument",
  },
  raw: {
    kind: "switch",
    help: "the prompt is already rendered: no chat template; control tokens in it count",
  },
  json: { kind: "switch", help: "machine-readable output" },
  "stream-json": { kind: "switch", help: "one JSON event per line while generating" },
  batch: {
    kind: "path",
    value: "FILE",
    help: 'JSON lines with a "prompt" or "messages" each; answers to --out',
  },
  out: { kind: "path", short: "o", value: "FILE", help: "write the result here" },
  quiet: { kind: "switch", short: "q", help: "no progress and no closing line" },
  plain: { kind: "switch", help: "raw text, no markdown rendering" },
  "hide-reasoning": { kind: "switch", help: "show one line instead of the reasoning text" },
  config: {
    kind: "path",
    value: "FILE",
    help: "settings from this file instead of ds4.toml in the configuration folder",
  },
  help: { kind: "switch", short: "h", help: "this text" },
  // a running server
  url: {
    kind: "text",
    value: "URL",
    help: "talk to a running server (OpenAI interface) instead of a local engine",
  },
  "api-key": { kind: "text", value: "KEY", help: "key for --url" },
  // inspection
  special: { kind: "switch", help: "control strings in the text become control tokens" },
  count: { kind: "switch", help: "print only the number of tokens" },
  tensors: { kind: "switch", help: "list every tensor" },
  template: {
    kind: "choice",
    value: "NAME",
    choices: ["reference", "compat"],
    default: "reference",
    help: "chat template profile",
  },
  ids: { kind: "path", value: "FILE", help: "JSON array of token ids" },
  dump: { kind: "path", value: "FILE", help: "write every intermediate value as safetensors" },
  "raw-logits": {
    kind: "path",
    value: "OUT",
    help: "write logits as little-endian f32 [positions, vocab]",
  },
  compare: {
    kind: "choice",
    value: "MODE",
    choices: ["trained", "plain", "fast", "experts"],
    help:
      "print the distance to this arithmetic (KL, top-1 agreement) instead of logits; " +
      "experts: " +
      "of each --kt-numerics from f32",
  },
  // quantize and bench
  recipe: {
    kind: "choice",
    value: "NAME",
    choices: ["mainline", "antirez", "lossless", "q8", "f32", "f16", "bf16"],
    default: "mainline",
    help:
      "types of the new file: as llama.cpp converts, as the antirez files, without loss, " +
      "or one " +
      "type throughout",
  },
  experts: {
    kind: "choice",
    value: "TYPE",
    choices: ["F32", "F16", "BF16", "Q8_0", "MXFP4"],
    help:
      "type of the routed experts instead of the recipe's; MXFP4 only from FP4 or MXFP4, " +
      "without loss",
  },
  force: { kind: "switch", help: "overwrite an existing output" },
  "prompt-tokens": {
    kind: "size",
    value: "N",
    min: 1,
    default: 256,
    help: "tokens of prefill in one measurement",
  },
  "gen-tokens": {
    kind: "size",
    value: "N",
    min: 1,
    default: 64,
    help: "tokens of decode in one measurement",
  },
  repeats: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 1000,
    default: 5,
    help: "measurements; median and spread are printed",
  },
  full: { kind: "switch", help: "bench moe: every measurement at full size, some minutes" },
  room: {
    kind: "list",
    value: "NAME",
    choices: ["rates", "decode", "prefill", "scaling", "methods", "calibration", "loading", "peer"],
    help: "bench moe: only this measurement; repeatable",
  },
  peer: {
    kind: "switch",
    help: "bench moe: also llama.cpp's kernels on the same experts, from its installed npm package",
  },
  ggml: {
    kind: "path",
    value: "DIR",
    help: "bench moe: compare with the ggml libraries of this folder",
  },
  suite: {
    kind: "choice",
    value: "NAME",
    choices: ["demo"],
    default: "demo",
    help: "question set",
  },
  csv: { kind: "path", value: "FILE", help: "also write a CSV file" },
} as const satisfies Record<string, FlagSpec>

export type FlagName = keyof typeof FLAGS
export type FlagValues<N extends FlagName> = { readonly [K in N]: FlagValue<(typeof FLAGS)[K]> }

/** The environment variable of a flag: DS4_MAX_TOKENS for --max-tokens. */
export function variableOf(name: string): string {
  return `DS4_${name.toUpperCase().replaceAll("-", "_")}`
}

/** One flag's declaration, typed loosely for code that walks all of them. */
export function specOf(name: FlagName): FlagSpec {
  return FLAGS[name]
}

export function isFlagName(name: string): name is FlagName {
  return Object.hasOwn(FLAGS, name)
}

/** Groups of flags that commands share. */
export const MODEL_FLAGS = [
  "model",
  "ctx",
  "backend",
  "numerics",
  "threads",
  "isa",
  "prefill-chunk",
  "expert-weights",
  "cpu-moe",
  "n-cpu-moe-layers",
  "kt-weight-path",
  "kt-cpuinfer",
  "kt-threadpool-count",
  "kt-method",
  "kt-numerics",
  "kt-bridge-lib",
] as const
export const SAMPLING_FLAGS = [
  "max-tokens",
  "temp",
  "top-p",
  "top-k",
  "min-p",
  "seed",
  "stop",
  "think",
  "reasoning-budget",
  "keep-reasoning",
  "system",
  "system-file",
] as const
export const COMMON_FLAGS = ["config", "help"] as const
