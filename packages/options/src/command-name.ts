/** The commands of `ds4`, in the order in which help lists them. */
export const COMMAND_NAMES = [
  "chat",
  "run",
  "serve",
  "tokenize",
  "detokenize",
  "render",
  "inspect",
  "verify",
  "logits",
  "quantize",
  "bench",
  "eval",
  "kv",
  "doctor",
  "config",
  "version",
  "completion",
] as const

export type CommandName = (typeof COMMAND_NAMES)[number]

/** The same, and the server. */
export const ENGINE_COMMANDS = ["chat", "run", "logits", "bench", "eval", "serve"] as const

/** Commands that answer a person. */
export const ANSWER_COMMANDS = ["chat", "run"] as const
