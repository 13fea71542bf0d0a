import { ANSWER_COMMANDS } from "../command-name.ts"
import type { OptionSpec } from "../option-spec.ts"

/** How tokens are drawn, and when an answer ends. */
export const SAMPLING_OPTIONS = {
  "max-tokens": {
    kind: "size",
    short: "n",
    value: "N",
    min: 1,
    help: "most tokens of an answer; default: what the context has left",
    commands: [...ANSWER_COMMANDS, "serve"],
    perCommand: {
      serve: {
        default: 393_216,
        help: "most tokens of an answer, whatever a request asks for",
      },
    },
  },
  temp: {
    kind: "number",
    value: "T",
    min: 0,
    max: 100,
    default: 1,
    help: "sampling temperature; 0 takes the likeliest token",
    commands: ANSWER_COMMANDS,
  },
  "top-p": {
    kind: "number",
    value: "P",
    min: 0,
    max: 1,
    default: 1,
    help: "keep the likeliest tokens up to this total probability",
    commands: ANSWER_COMMANDS,
  },
  "top-k": {
    kind: "integer",
    value: "K",
    min: 0,
    max: 248_320,
    default: 0,
    help: "keep the K likeliest tokens; 0: off; in logits: how many are printed",
    commands: [...ANSWER_COMMANDS, "logits"],
  },
  "min-p": {
    kind: "number",
    value: "P",
    min: 0,
    max: 1,
    default: 0.05,
    help: "drop tokens below this share of the likeliest one's probability",
    commands: ANSWER_COMMANDS,
  },
  seed: {
    kind: "integer",
    value: "N",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    help: "seed of the sampler; default: from the clock",
    commands: ANSWER_COMMANDS,
  },
  stop: {
    kind: "list",
    value: "TEXT",
    help: "end the answer at this text; repeatable",
    commands: ANSWER_COMMANDS,
  },
} as const satisfies Record<string, OptionSpec>
