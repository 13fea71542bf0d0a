// Spellings of earlier ds4 programs. They keep working and stay out of help.
import type { OptionName } from "./option-table.ts"

/** An old spelling is an option, or an option with its value already chosen. */
interface OldSpelling {
  readonly option: OptionName
  readonly value?: string
  /** The value is the next word even though the option itself can stand alone. */
  readonly takesNext?: boolean
}

export const OLD_SPELLINGS: ReadonlyMap<string, OldSpelling> = new Map<string, OldSpelling>([
  ["-sys", { option: "system" }],
  ["--prompt-file", { option: "file" }],
  ["--tokens", { option: "max-tokens" }],
  ["--temperature", { option: "temp" }],
  ["--nothink", { option: "think", value: "off" }],
  ["--no-think", { option: "think", value: "off" }],
  ["--think-max", { option: "think", value: "max" }],
  ["--think-level", { option: "think", takesNext: true }],
  ["--cpu", { option: "backend", value: "cpu" }],
  ["--cuda", { option: "backend", value: "cuda" }],
  ["--quality", { option: "numerics", value: "trained" }],
  ["--raw-prompt", { option: "raw", value: "true" }],
  ["--logprobs-top-k", { option: "top-k" }],
  ["--room", { option: "bench-suite" }],
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
