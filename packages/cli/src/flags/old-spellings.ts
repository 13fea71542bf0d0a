// Spellings of earlier ds4 programs. They keep working and stay out of help.
import type { FlagName } from "./registry.ts"

/** An old spelling is a flag, or a flag with its value already chosen. */
export interface OldSpelling {
  readonly flag: FlagName
  readonly value?: string
  /** The value is the next word even though the flag itself can stand alone. */
  readonly takesNext?: boolean
}

export const OLD_SPELLINGS: ReadonlyMap<string, OldSpelling> = new Map<string, OldSpelling>([
  ["-sys", { flag: "system" }],
  ["--prompt-file", { flag: "file" }],
  ["--tokens", { flag: "max-tokens" }],
  ["--temperature", { flag: "temp" }],
  ["--nothink", { flag: "think", value: "off" }],
  ["--no-think", { flag: "think", value: "off" }],
  ["--think-max", { flag: "think", value: "max" }],
  ["--think-level", { flag: "think", takesNext: true }],
  ["--cpu", { flag: "backend", value: "cpu" }],
  ["--cuda", { flag: "backend", value: "cuda" }],
  ["--quality", { flag: "numerics", value: "trained" }],
  ["--raw-prompt", { flag: "raw", value: "true" }],
  ["--logprobs-top-k", { flag: "top-k" }],
])

/** Old flags whose feature this version does not have, with the number of values they take. */
export const RETIRED: ReadonlyMap<string, { values: 0 | 1; note: string }> = new Map([
  ["--warm-weights", { values: 0, note: "weights are read as they are needed" }],
  ["--mtp", { values: 1, note: "speculative decoding is not part of this version" }],
  ["--mtp-draft", { values: 1, note: "speculative decoding is not part of this version" }],
  ["--mtp-margin", { values: 1, note: "speculative decoding is not part of this version" }],
] as const)

/**
 * The command an argument list without a command name means: the one-shot and dump flags of the old
 * program.
 */
export function impliedCommand(args: readonly string[]): string | undefined {
  const given = new Set(args.map((argument) => argument.split("=", 1)[0]))
  if (given.has("--inspect")) return "inspect"
  if (given.has("--dump-tokens")) return "tokenize"
  if (["-p", "--prompt", "--prompt-file"].some((flag) => given.has(flag))) return "run"
  return undefined
}

/** Flags that only chose a command; they carry nothing once it is chosen. */
export const COMMAND_SWITCHES: ReadonlySet<string> = new Set(["--inspect", "--dump-tokens"])
