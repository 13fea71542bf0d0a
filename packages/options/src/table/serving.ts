import type { OptionSpec } from "../option-spec.ts"

/** How the server takes, runs, logs and ends requests. */
export const SERVING_OPTIONS = {
  parallel: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 256,
    default: 4,
    help: "requests that run at once",
    commands: ["serve"],
  },
  "kv-host-mb": {
    kind: "integer",
    value: "MB",
    min: 0,
    max: 16_777_216,
    help:
      "memory in MiB for the states that prompts continue from; default: 5% of the machine's, or " +
      "room for two whole sessions if that is more",
    commands: ["serve"],
  },
  "kv-disk-dir": {
    kind: "text",
    value: "DIR",
    refusesEmpty: true,
    help:
      "folder for the states that prompts continue from; none: they end with the server; " +
      "default: ds4/kv in the user's cache folder, none for the embedded model",
    commands: ["serve", "kv"],
    perCommand: {
      kv: { help: "the server's folder of states; default: ds4/kv in the user's cache folder" },
    },
  },
  "kv-disk-space-mb": {
    kind: "integer",
    value: "MB",
    min: 0,
    max: 1_073_741_824,
    help: "most MiB in that folder; default: 10% of the free space, at most 64 GiB",
    commands: ["serve", "kv"],
    perCommand: {
      kv: { help: "with gc: most MiB that stay, what is worth least goes first; default: any" },
    },
  },
  "kv-disk-min-seconds": {
    kind: "number",
    value: "S",
    min: 0,
    max: 86_400,
    default: 0.5,
    help: "states that spare less reading than this are not written",
    commands: ["serve"],
  },
  "max-queue": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 100_000,
    default: 64,
    help: "requests that may wait; one more is answered 429",
    commands: ["serve"],
  },
  "model-id": {
    kind: "text",
    value: "NAME",
    refusesEmpty: true,
    help: "name under which the model is listed",
    commands: ["serve"],
  },
  "strict-model": {
    kind: "switch",
    help: "refuse other model names with 404 instead of serving them",
    commands: ["serve"],
  },
  "max-body": {
    kind: "size",
    value: "BYTES",
    min: 1024,
    max: 1_073_741_824,
    default: 67_108_864,
    help: "largest request body in bytes",
    commands: ["serve"],
  },
  "keepalive-seconds": {
    kind: "number",
    value: "S",
    min: 0.05,
    max: 3600,
    default: 5,
    help: "a silent stream gets a frame this often",
    commands: ["serve"],
  },
  "stall-seconds": {
    kind: "number",
    value: "S",
    min: 0.05,
    max: 86_400,
    default: 30,
    help: "cancel a stream whose client has not read for so long",
    commands: ["serve"],
  },
  "drain-seconds": {
    kind: "number",
    value: "S",
    min: 0,
    max: 86_400,
    default: 30,
    help: "at shutdown running requests may finish for so long",
    commands: ["serve"],
  },
  "log-format": {
    kind: "choice",
    value: "FORM",
    choices: ["text", "json"],
    default: "text",
    help: "form of the one line per request on stderr",
    commands: ["serve"],
  },
} as const satisfies Record<string, OptionSpec>
