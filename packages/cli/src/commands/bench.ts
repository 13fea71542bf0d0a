import type { NativeEngine } from "@ds4/engine"
import { outputTarget, STANDARD_OUTPUT, writeTextOutput } from "@ds4/model-file"
import type { OptionValues } from "@ds4/options"
import { benchMoe } from "../bench/moe.ts"
import { engineText } from "../bench/engine-text.ts"
import { measure, type BenchResult } from "../bench/measure.ts"
import type { Spread } from "../bench/spread.ts"
import { defineCommand } from "../command.ts"
import { EXIT, usageError } from "../errors.ts"
import { formatBytes, formatWhole } from "@ds4/progress"
import type { Io } from "../io.ts"
import { loadEngine } from "../load-engine.ts"
import { progressOf } from "../progress-of.ts"
import { machineFacts, type MachineFacts } from "../machine-facts.ts"

interface Run {
  readonly model: string
  readonly contextTokens: number
  readonly genTokens: number
  readonly machine: MachineFacts
  readonly engine: Readonly<Record<string, unknown>>
  /** Where the routed experts run. */
  readonly experts: string
  readonly result: BenchResult
}

function spreadText({ median, low, high }: Spread, unit: string): string {
  return `${median.toFixed(1)} ${unit} (${low.toFixed(1)} to ${high.toFixed(1)})`
}

/** A line about a rate over so many tokens. */
function rateText(spread: Spread, tokens: number): string {
  return `${spreadText(spread, "t/s")} for ${formatWhole(tokens)} tokens`
}

function table({ model, contextTokens, genTokens, machine, engine, experts, result }: Run): string {
  return [
    `${model} on ${machine.cpu}, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)}`,
    `engine   ${engineText(engine)}`,
    `experts  ${experts}`,
    `prefill  ${rateText(result.prefillTokensPerSecond, contextTokens)}`,
    `decode   ${rateText(result.decodeTokensPerSecond, genTokens)}`,
    `first    ${spreadText(result.firstTokenMs, "ms")}`,
    `state    ${formatBytes(result.kvCacheBytes)} a session`,
    "",
  ].join("\n")
}

/** The columns of ds4-bench. */
function csv({ contextTokens, genTokens, result }: Run): string {
  const row = [
    contextTokens,
    contextTokens,
    result.prefillTokensPerSecond.median.toFixed(2),
    genTokens,
    result.decodeTokensPerSecond.median.toFixed(2),
    result.kvCacheBytes,
  ]
  return (
    `ctx_tokens,prefill_tokens,prefill_tps,gen_tokens,gen_tps,kvcache_bytes\n` +
    `${row.join(",")}\n`
  )
}

function json({ model, contextTokens, genTokens, machine, engine, result }: Run): string {
  return `${JSON.stringify({
    schema: "ds4.bench/1",
    model,
    machine,
    engine,
    prompt_tokens: contextTokens,
    gen_tokens: genTokens,
    prefill_tokens_per_second: result.prefillTokensPerSecond,
    decode_tokens_per_second: result.decodeTokensPerSecond,
    first_token_ms: result.firstTokenMs,
    kv_cache_bytes: result.kvCacheBytes,
  })}\n`
}

type BenchFlags = OptionValues<"prompt-tokens" | "gen-tokens" | "repeats">

/** Measures the engine and shows how far it is. */
async function measured(engine: NativeEngine, flags: BenchFlags, io: Io): Promise<Run> {
  const { "prompt-tokens": promptTokens, "gen-tokens": genTokens, repeats } = flags
  if (promptTokens + genTokens > engine.model.contextTokens) {
    throw usageError(
      `${promptTokens} prompt and ${genTokens} generated tokens do not fit into the ` +
        `context of ${engine.model.contextTokens}`,
    )
  }
  using progress = progressOf(io)
  const result = measure(engine, { promptTokens, genTokens, repeats, progress })
  progress.stop()
  const { expertsText } = await import("@ds4/engine")
  return {
    model: engine.model.name,
    contextTokens: promptTokens,
    genTokens,
    machine: await machineFacts(),
    engine: engine.describe(),
    experts: expertsText(engine.describe()),
    result,
  }
}

export const bench = defineCommand({
  name: "bench",
  usage: "[moe] [FLAGS]",
  summary: "measures prefill and decode rates",
  details:
    "One run warms up; then the median of --repeats runs, with the smallest and largest.\nbench " +
    "moe measures the CPU expert library alone, against what this machine can read and calculate.",
  examples: [
    "ds4 bench",
    "ds4 bench -m model.gguf --prompt-tokens 2k --gen-tokens 128",
    "ds4 bench --json",
    "ds4 bench moe -t 8",
    "ds4 bench moe --full --peer",
  ],
  maxPositionals: 1,
  words: ["moe"],
  run: async ({ flags, io, positionals, prepareNative, prepareBenchmarks }) => {
    const [what] = positionals
    if (what !== undefined && what !== "moe")
      throw usageError(`there is no benchmark "${what}"; say ds4 bench or ds4 bench moe`)
    if (what === "moe") {
      prepareNative()
      prepareBenchmarks()
      return await benchMoe(flags, io)
    }
    if (flags.csv !== undefined) outputTarget(flags.csv, flags.force) // before it takes minutes
    const { engine } = await loadEngine(flags, io, prepareNative)
    try {
      const run = await measured(engine, flags, io)
      if (flags.csv !== undefined)
        await writeTextOutput(flags.csv, csv(run), { overwrite: flags.force })
      if (flags.csv !== STANDARD_OUTPUT) io.out(flags.json ? json(run) : table(run))
      return EXIT.done
    } finally {
      await engine.close()
    }
  },
})
