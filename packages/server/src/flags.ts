// Every flag of the server, once: the parser, --help and the DS4_ variables come from this table.

export interface ServeFlag {
  readonly kind: "text" | "path" | "integer" | "number" | "size" | "switch" | "choice" | "list"
  readonly help: string
  readonly value?: string
  readonly short?: string
  readonly default?: string | number
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
}

export const SERVE_FLAGS = {
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
    help:
      "context tokens of one session; 64k and 1m are understood; default: 32k, or less " +
      "if the " +
      "model was made for less",
  },
  threads: {
    kind: "integer",
    short: "t",
    value: "N",
    min: 0,
    max: 1024,
    default: 0,
    help: "compute threads; 0: as many as pay",
  },
  isa: {
    kind: "choice",
    value: "SET",
    choices: ["auto", "generic", "avx2", "avx512"],
    default: "auto",
    help: "CPU kernel set",
  },
  numerics: {
    kind: "choice",
    value: "MODE",
    choices: ["fast", "trained", "plain"],
    default: "fast",
    help: "arithmetic: trained-in roundings with fast activations, exact ones, or none",
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
    help: "arithmetic of packed experts; auto: int8 with fast numerics, f32 otherwise",
  },
  "kt-bridge-lib": { kind: "path", value: "FILE", help: "expert library to use instead of ours" },
  parallel: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 256,
    default: 4,
    help: "requests that run at once, each with its own session",
  },
  "max-queue": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 100_000,
    default: 64,
    help: "requests that may wait; one more is answered 429",
  },
  // answers
  "max-tokens": {
    kind: "size",
    short: "n",
    value: "N",
    min: 1,
    default: 393_216,
    help: "output limit where a request names none; always clamped to the room left",
  },
  template: {
    kind: "choice",
    value: "NAME",
    choices: ["reference", "compat"],
    default: "reference",
    help: "chat template profile",
  },
  "no-think": {
    kind: "switch",
    help: "requests that do not say otherwise are answered without thinking",
  },
  effort: {
    kind: "choice",
    value: "LEVEL",
    choices: ["low", "high", "max"],
    help: "thinking effort where a request names none; default: the checkpoint's own",
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
  "strict-tools": { kind: "switch", help: "a tool block inside unclosed thinking stays text" },
  "tool-sampling": {
    kind: "choice",
    value: "MODE",
    choices: ["zones", "request"],
    default: "zones",
    help: "zones: tool syntax is decoded greedily; request: sampled like text",
  },
  "tool-memory-max-ids": {
    kind: "integer",
    value: "N",
    min: 0,
    max: 10_000_000,
    default: 100_000,
    help: "sampled calls remembered for exact replay; 0: none",
  },
  "model-id": { kind: "text", value: "NAME", help: "name under which the model is listed" },
  "strict-model": {
    kind: "switch",
    help: "refuse other model names with 404 instead of serving them",
  },
  // network
  host: { kind: "text", value: "ADDRESS", default: "127.0.0.1", help: "address to listen on" },
  port: {
    kind: "integer",
    short: "p",
    value: "N",
    min: 0,
    max: 65_535,
    default: 8000,
    help: "port; 0 takes a free one and prints it",
  },
  unix: { kind: "path", value: "SOCKET", help: "listen on a Unix socket instead" },
  "api-key": { kind: "text", value: "KEY", help: "clients must send this key" },
  "api-key-file": {
    kind: "path",
    value: "FILE",
    help: "read the key from the first line of a file",
  },
  cors: { kind: "switch", help: "let web pages of any origin call the server" },
  "cors-origin": {
    kind: "list",
    value: "ORIGIN",
    help: "let web pages of this origin call the server; repeatable",
  },
  "allow-host": {
    kind: "list",
    value: "NAME",
    help: "accept this Host header besides addresses and localhost; repeatable",
  },
  "max-body": {
    kind: "size",
    value: "BYTES",
    min: 1024,
    max: 1_073_741_824,
    default: 67_108_864,
    help: "largest request body in bytes",
  },
  "keepalive-seconds": {
    kind: "number",
    value: "S",
    min: 0.05,
    max: 3600,
    default: 5,
    help: "a silent stream gets a frame this often",
  },
  "stall-seconds": {
    kind: "number",
    value: "S",
    min: 0.05,
    max: 86_400,
    default: 30,
    help: "cancel a stream whose client has not read for so long",
  },
  "drain-seconds": {
    kind: "number",
    value: "S",
    min: 0,
    max: 86_400,
    default: 30,
    help: "at shutdown running requests may finish for so long",
  },
  // log
  "log-format": {
    kind: "choice",
    value: "FORM",
    choices: ["text", "json"],
    default: "text",
    help: "form of the one line per request on stderr",
  },
  quiet: { kind: "switch", short: "q", help: "no line per request" },
  help: { kind: "switch", short: "h", help: "this text" },
} as const satisfies Record<string, ServeFlag>

export type ServeFlagName = keyof typeof SERVE_FLAGS

type BaseValue<F extends ServeFlag> = F["kind"] extends "switch"
  ? boolean
  : F["kind"] extends "integer" | "number" | "size"
    ? number
    : F["kind"] extends "list"
      ? readonly string[]
      : F extends { choices: readonly (infer C extends string)[] }
        ? C
        : string

type ValueOf<F extends ServeFlag> = F["kind"] extends "switch" | "list"
  ? BaseValue<F>
  : F extends { default: string | number }
    ? BaseValue<F>
    : BaseValue<F> | undefined

export type ServeOptions = { readonly [N in ServeFlagName]: ValueOf<(typeof SERVE_FLAGS)[N]> }

type RawValue = string | number | boolean | readonly string[]

/** A flag or variable that cannot be used; start-up stops with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError"
}

const FLAG_BY_SHORT = new Map<string, ServeFlagName>(
  flagNames().flatMap((name) => {
    const short = specOf(name).short
    return short === undefined ? [] : [[short, name] as const]
  }),
)

export function flagNames(): ServeFlagName[] {
  return Object.keys(SERVE_FLAGS).filter(isFlagName)
}

function isFlagName(name: string): name is ServeFlagName {
  return Object.hasOwn(SERVE_FLAGS, name)
}

function specOf(name: ServeFlagName): ServeFlag {
  return SERVE_FLAGS[name]
}

/** The environment variable of a flag: DS4_MAX_QUEUE for --max-queue. */
export function variableOf(name: ServeFlagName): string {
  return `DS4_${name.toUpperCase().replaceAll("-", "_")}`
}

/** Reads flags, then DS4_ variables, then defaults. Throws UsageError naming what was given. */
export function parseServeOptions(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ServeOptions {
  const given = parseArguments(argv)
  const values: Partial<Record<ServeFlagName, RawValue>> = {}
  for (const name of flagNames()) {
    const spec = specOf(name)
    const variable = variableOf(name)
    const text = environment[variable]
    const fromEnvironment =
      text === undefined || text === "" || name === "help"
        ? undefined
        : readValue(variable, spec, text)
    const fallback =
      spec.default ?? (spec.kind === "switch" ? false : spec.kind === "list" ? [] : undefined)
    const value = given.get(name) ?? fromEnvironment ?? fallback
    if (value !== undefined) values[name] = value
  }
  // Every value was read by its own flag's kind, which is what ServeOptions derives its types from.
  return values as ServeOptions
}

function parseArguments(argv: readonly string[]): Map<ServeFlagName, RawValue> {
  const given = new Map<ServeFlagName, RawValue>()
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? ""
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(argument)
    const name =
      match?.[1] ??
      (/^-[a-zA-Z]$/.test(argument) ? FLAG_BY_SHORT.get(argument.slice(1)) : undefined)
    if (name === undefined || !isFlagName(name))
      throw new UsageError(`unknown argument "${argument}"; --help lists the flags`)
    const spec = specOf(name)
    let text = match?.[2]
    if (spec.kind === "switch") text ??= "1"
    else if (text === undefined) {
      text = argv[++at]
      if (text === undefined) throw new UsageError(`--${name} needs a value: ${spec.help}`)
    }
    const value = readValue(`--${name}`, spec, text)
    const before = given.get(name)
    given.set(
      name,
      Array.isArray(before) && Array.isArray(value)
        ? [...(before as string[]), ...(value as string[])]
        : value,
    )
  }
  return given
}

function readValue(where: string, spec: ServeFlag, text: string): RawValue {
  switch (spec.kind) {
    case "switch":
      if (["1", "true", "yes", "on"].includes(text.toLowerCase())) return true
      if (["0", "false", "no", "off"].includes(text.toLowerCase())) return false
      throw new UsageError(`${where} is "${text}"; expected 1 or 0`)
    case "integer":
    case "number":
    case "size":
      return readNumber(where, spec, text)
    case "list":
      return text
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== "")
    case "choice":
      if (spec.choices?.includes(text) === true) return text
      throw new UsageError(
        `${where} is "${text}"; expected one of ${spec.choices?.join(", ") ?? ""}`,
      )
    case "text":
    case "path":
      if (text === "") throw new UsageError(`${where} is empty; expected ${spec.value ?? "text"}`)
      return text
  }
}

function readNumber(where: string, spec: ServeFlag, text: string): number {
  const size = spec.kind === "size" ? /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text.trim()) : null
  const unit =
    { "": 1, k: 1024, m: 1_048_576, g: 1_073_741_824 }[size?.[2]?.toLowerCase() ?? ""] ?? 1
  const value =
    size === null ? (text.trim() === "" ? Number.NaN : Number(text)) : Number(size[1]) * unit
  const isWhole = spec.kind === "number" || Number.isSafeInteger(value)
  if (isWhole && value >= (spec.min ?? -Infinity) && value <= (spec.max ?? Infinity)) return value
  throw new UsageError(
    `${where} is "${text}"; expected ${spec.kind === "number" ? "a number" : "a whole number"} ` +
      `from ${spec.min ?? 0} to ${spec.max ?? "any"}`,
  )
}

/** The text of --help: one line per flag. */
export function serveHelp(): string {
  const rows = flagNames().map((name) => {
    const spec = specOf(name)
    const form =
      `${spec.short === undefined ? "    " : `-${spec.short}, `}--${name}` +
      `${spec.value === undefined ? "" : ` ${spec.value}`}`
    const choices = spec.choices === undefined ? "" : ` (${spec.choices.join(", ")})`
    const fallback = spec.default === undefined ? "" : ` [${spec.default}]`
    return `  ${form.padEnd(32)} ${spec.help}${choices}${fallback}`
  })
  return (
    `usage: serve [flags]\n\nServes the OpenAI and Anthropic interfaces over HTTP. Each ` +
    `flag ` +
    `has a variable DS4_<NAME>.\n\n${rows.join("\n")}\n`
  )
}
