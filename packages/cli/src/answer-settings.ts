import { readFileSync } from "node:fs"
import type { OptionValues } from "@ds4/options"
import type { AnswerSettings } from "./backend/backend.ts"
import { messageOf, usageError } from "./errors.ts"

type SamplingFlags = OptionValues<
  | "temp"
  | "top-p"
  | "top-k"
  | "min-p"
  | "seed"
  | "max-tokens"
  | "stop"
  | "think"
  | "reasoning-budget"
  | "keep-reasoning"
  | "no-loop-guard"
  | "system"
  | "system-file"
>

/** The generation flags as the backends take them. */
export function answerSettings(flags: SamplingFlags): AnswerSettings {
  return {
    sampling: {
      temperature: flags.temp,
      topP: flags["top-p"],
      topK: flags["top-k"],
      minP: flags["min-p"],
      seed: flags.seed,
    },
    maxTokens: flags["max-tokens"],
    stopStrings: flags.stop,
    thinking: flags.think ?? "default",
    reasoningBudget: flags["reasoning-budget"],
    keepReasoning: flags["keep-reasoning"] === "cache",
    loopGuard: !flags["no-loop-guard"],
  }
}

/** Reads a text file named by a flag; a missing one is a usage error that names the flag. */
export function readTextFlag(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    throw usageError(`--${flag} ${path} cannot be read: ${messageOf(error)}`)
  }
}

/** The system text from --system or --system-file. */
export function systemText(flags: SamplingFlags): string | undefined {
  if (flags.system !== undefined) return flags.system
  return flags["system-file"] === undefined
    ? undefined
    : readTextFlag("system-file", flags["system-file"])
}
