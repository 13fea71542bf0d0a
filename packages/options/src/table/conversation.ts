import { ANSWER_COMMANDS } from "../command-name.ts"
import type { OptionSpec } from "../option-spec.ts"

/** Thinking, the chat template, tools and the system text. */
export const CONVERSATION_OPTIONS = {
  template: {
    kind: "choice",
    value: "NAME",
    choices: ["reference", "compat"],
    default: "reference",
    help: "chat template profile",
    commands: ["serve", "render"],
  },
  think: {
    kind: "choice",
    value: "LEVEL",
    choices: ["off", "low", "high", "max"],
    bare: "high",
    help: "reasoning before the answer; default: the checkpoint's own; --no-think is --think=off",
    commands: [...ANSWER_COMMANDS, "render"],
  },
  "no-think": {
    kind: "switch",
    help: "requests that do not say otherwise are answered without thinking",
    commands: ["serve"],
  },
  effort: {
    kind: "choice",
    value: "LEVEL",
    choices: ["low", "high", "max"],
    help: "thinking effort where a request names none; default: the checkpoint's own",
    commands: ["serve"],
  },
  "reasoning-budget": {
    kind: "size",
    value: "N",
    min: 1,
    help: "most tokens of the reasoning; the answer begins after them",
    commands: [...ANSWER_COMMANDS, "serve"],
  },
  "keep-reasoning": {
    kind: "choice",
    value: "MODE",
    choices: ["cache", "never"],
    default: "cache",
    help:
      "thinking of earlier turns that prompts leave out: cache continues the session that holds " +
      "it, never reads the conversation again without it",
    commands: [...ANSWER_COMMANDS, "serve"],
  },
  "strict-tools": {
    kind: "switch",
    help: "a tool block inside unclosed thinking stays text",
    commands: ["serve"],
  },
  "tool-sampling": {
    kind: "choice",
    value: "MODE",
    choices: ["zones", "request"],
    default: "zones",
    help: "zones: tool syntax is decoded greedily; request: sampled like text",
    commands: ["serve"],
  },
  "no-loop-guard": {
    kind: "switch",
    help: "let agents' answers repeat a text, or a call without a new result, for ever",
    commands: [...ANSWER_COMMANDS, "serve"],
  },
  "tool-memory-max-ids": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 10_000_000,
    default: 100_000,
    help: "sampled calls remembered for exact replay; 0: none",
    commands: ["serve"],
  },
  system: { kind: "text", value: "TEXT", help: "system text", commands: ANSWER_COMMANDS },
  "system-file": {
    kind: "path",
    value: "FILE",
    help: "system text from a file",
    commands: ANSWER_COMMANDS,
  },
} as const satisfies Record<string, OptionSpec>
