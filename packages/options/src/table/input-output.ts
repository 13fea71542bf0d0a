import { ANSWER_COMMANDS } from "../command-name.ts"
import type { OptionSpec } from "../option-spec.ts"

/** Texts that a command reads, and the form of the text that it writes. */
export const INPUT_OUTPUT_OPTIONS = {
  prompt: {
    kind: "text",
    short: "p",
    value: "TEXT",
    help: "the prompt; the same as giving it as an argument",
    commands: ["run", "tokenize"],
  },
  file: {
    kind: "path",
    short: "f",
    value: "FILE",
    help: "read the prompt or text from a file",
    commands: ["run", "tokenize", "detokenize", "render"],
  },
  raw: {
    kind: "switch",
    help: "the prompt is already rendered: no chat template; control tokens in it count",
    commands: ["run"],
  },
  special: {
    kind: "switch",
    help: "control strings in the text become control tokens",
    commands: ["tokenize"],
  },
  batch: {
    kind: "path",
    value: "FILE",
    help: 'JSON lines with a "prompt" or "messages" each; answers to --out',
    commands: ["run"],
  },
  out: {
    kind: "path",
    short: "o",
    value: "FILE",
    help: "write the result here",
    commands: ["run"],
  },
  json: {
    kind: "switch",
    help: "machine-readable output",
    commands: [
      "run",
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
    ],
  },
  "stream-json": {
    kind: "switch",
    help: "one JSON event per line while generating",
    commands: ["run"],
  },
  count: {
    kind: "switch",
    help: "print only the number of tokens",
    commands: ["tokenize", "render"],
  },
  tensors: { kind: "switch", help: "list every tensor", commands: ["inspect"] },
  plain: { kind: "switch", help: "raw text, no markdown rendering", commands: ANSWER_COMMANDS },
  "hide-reasoning": {
    kind: "switch",
    help: "show one line instead of the reasoning text",
    commands: ANSWER_COMMANDS,
  },
} as const satisfies Record<string, OptionSpec>
