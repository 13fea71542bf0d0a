import { ANSWER_COMMANDS } from "../command-name.ts"
import type { OptionSpec } from "../option-spec.ts"

/** The address of a server, and who may call it. */
export const NETWORK_OPTIONS = {
  url: {
    kind: "text",
    value: "URL",
    help: "talk to a running server (OpenAI interface) instead of a local engine",
    commands: ANSWER_COMMANDS,
  },
  host: {
    kind: "text",
    value: "ADDRESS",
    refusesEmpty: true,
    default: "127.0.0.1",
    help: "address to listen on",
    commands: ["serve"],
  },
  port: {
    kind: "integer",
    short: "p",
    value: "N",
    min: 0,
    max: 65_535,
    default: 8000,
    help: "port; 0 takes a free one and prints it",
    commands: ["serve"],
  },
  unix: {
    kind: "path",
    value: "SOCKET",
    help: "listen on a Unix socket instead",
    commands: ["serve"],
  },
  "api-key": {
    kind: "text",
    value: "KEY",
    isSecret: true,
    help: "key for --url",
    commands: [...ANSWER_COMMANDS, "serve"],
    perCommand: { serve: { help: "clients must send this key", refusesEmpty: true } },
  },
  "api-key-file": {
    kind: "path",
    value: "FILE",
    help: "clients must send a key of this file, one a line; # begins a comment",
    commands: ["serve"],
  },
  cors: {
    kind: "switch",
    help: "let web pages of any origin call the server",
    commands: ["serve"],
  },
  "cors-origin": {
    kind: "list",
    value: "ORIGIN",
    separator: ",",
    help: "let web pages of this origin call the server; repeatable",
    commands: ["serve"],
  },
  "allow-host": {
    kind: "list",
    value: "NAME",
    separator: ",",
    help: "without a key: accept this Host besides addresses and own names; * for all; repeatable",
    commands: ["serve"],
  },
} as const satisfies Record<string, OptionSpec>
