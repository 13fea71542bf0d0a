import type { NativeEngine } from "@ds4/engine"
import { defineCommand } from "../command.ts"
import { EXIT, usageError } from "../errors.ts"
import type { Io } from "../io.ts"
import { loadEngine, type ModelFlags } from "../load-engine.ts"
import { allLogits, defaultIds } from "../logits/all-logits.ts"
import { compareExperts } from "../logits/compare-experts.ts"
import { divergence } from "../logits/divergence.ts"
import { writeDump, writeWhole } from "../logits/safetensors-dump.ts"
import { engineSwitches } from "../logits/switches.ts"
import { readIdsFlag } from "../read-ids.ts"

const DEFAULT_TOP = 20

function writeRaw(path: string, engine: NativeEngine, ids: readonly number[]): void {
  function* rows() {
    for (const { logits } of engine.logits(ids, { mode: "all" }))
      yield new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)
  }
  writeWhole(path, rows()) // x86-64 is little-endian, as the file is
}

/** One step over all ids with the trace on. */
function dumpTrace(path: string, engine: NativeEngine, ids: readonly number[]): number {
  engine.trace.enable(true)
  const session = engine.openSession(ids.length)
  try {
    engine.step([{ session, tokens: ids, rows: "ALL" }])
    const arrays = [...engine.trace.names().keys()].map((name) => ({
      name,
      values: engine.trace.read(name),
    }))
    writeDump(path, arrays)
    return arrays.length
  } finally {
    session.close()
    engine.trace.enable(false)
  }
}

function printPositions(
  io: Io,
  engine: NativeEngine,
  ids: readonly number[],
  topK: number,
  isJson: boolean,
): void {
  if (isJson) io.out(`{"tokens":${JSON.stringify(ids)},"positions":[`)
  for (const { position, top } of engine.logits(ids, { mode: "all", topK })) {
    if (isJson) io.out(`${position === 0 ? "" : ","}${JSON.stringify({ position, top })}`)
    else
      io.out(
        `${position} (${ids[position]}): ` +
          `${top.map(({ id, logprob }) => `${id} ${logprob.toFixed(3)}`).join(", ")}\n`,
      )
  }
  if (isJson) io.out("]}\n")
}

interface CompareOptions {
  readonly io: Io
  readonly flags: ModelFlags
  readonly reference: "fast" | "trained" | "plain"
  readonly ids: readonly number[] | undefined
  readonly isJson: boolean
  readonly prepareNative: () => void
  readonly leaveOut: readonly string[]
}

/**
 * Prints the distance of --numerics (default fast) to the reference arithmetic over the same ids.
 */
async function compare({
  io,
  flags,
  reference,
  ids,
  isJson,
  prepareNative,
  leaveOut,
}: CompareOptions): Promise<void> {
  const results: Float32Array[] = []
  let vocab = 0
  let compared: readonly number[] = ids ?? []
  for (const numerics of [reference, flags.numerics]) {
    const switches = numerics === reference ? {} : { switches: engineSwitches(leaveOut) }
    const { engine } = await loadEngine(
      { ...flags, numerics },
      results.length === 0 ? io : { ...io, err: () => {} },
      prepareNative,
      switches,
    )
    vocab = engine.model.vocab
    compared = ids ?? defaultIds(vocab)
    results.push(allLogits(engine, compared))
    await engine.close()
  }
  const [expected, found] = results
  if (expected === undefined || found === undefined) return
  const distance = divergence(expected, found, vocab)
  const json = {
    schema: "ds4.numerics/1",
    reference,
    compared: flags.numerics,
    positions: distance.positions,
    mean_kl: distance.meanKl,
    max_kl: distance.maxKl,
    top1_agreement: distance.top1Agreement,
    max_logit_difference: distance.maxLogitDifference,
    relative_rms: distance.relativeRms,
  }
  if (isJson) io.out(`${JSON.stringify(json)}\n`)
  else {
    io.out(`${flags.numerics} against ${reference}, ${distance.positions} positions\n`)
    io.out(
      `  KL divergence      mean ${distance.meanKl.toExponential(2)}, largest ` +
        `${distance.maxKl.toExponential(2)} nats\n`,
    )
    io.out(`  same top token     ${(distance.top1Agreement * 100).toFixed(2)} %\n`)
    io.out(
      `  logit difference   largest ${distance.maxLogitDifference.toExponential(2)}, relative ` +
        `RMS ${distance.relativeRms.toExponential(2)}\n`,
    )
  }
}

export const logits = defineCommand({
  name: "logits",
  usage: "--ids FILE [FLAGS]",
  summary: "prints the logits of every position of a token list",
  details: [
    "FILE is a JSON array of token ids. --json prints",
    '  {"tokens":[…],"positions":[{"position":0,"top":[{"id":…,"logit":…,"logprob":…}]}]}',
    "--compare MODE prints how far --numerics is from MODE, over given or default ids; " +
      "--compare experts how far each",
    "arithmetic of packed experts (--kt-numerics) is from f32, everything else as --numerics says.",
  ].join("\n"),
  examples: [
    "ds4 logits -m model.gguf --ids ids.json --top-k 5 --json",
    "ds4 logits --ids ids.json --raw logits.f32 --numerics trained",
    "ds4 logits --compare trained",
    "ds4 logits --compare experts --numerics trained",
  ],
  maxPositionals: 0,
  run: async ({ flags, sources, io, prepareNative }) => {
    const leaveOut: readonly string[] = flags["leave-out"]
    if (flags.compare !== undefined) {
      const ids =
        flags.ids === undefined ? undefined : readIdsFlag("ids", flags.ids, Number.MAX_SAFE_INTEGER)
      if (flags.compare === "experts") {
        await compareExperts({ io, flags, ids, isJson: flags.json, prepareNative })
        return EXIT.done
      }
      await compare({
        io,
        flags,
        reference: flags.compare,
        ids,
        isJson: flags.json,
        prepareNative,
        leaveOut,
      })
      return EXIT.done
    }
    if (flags.ids === undefined)
      throw usageError("--ids FILE is missing: a JSON array of token ids")
    const path = flags.ids
    // a mistake in the file is told before a model is loaded
    readIdsFlag("ids", path, Number.MAX_SAFE_INTEGER)
    const dumped =
      flags.dump === undefined ? {} : { maxStepTokens: Math.max(flags["prefill-chunk"] ?? 0, 512) }
    const { engine } = await loadEngine(flags, io, prepareNative, {
      switches: engineSwitches(leaveOut),
      ...dumped,
    })
    try {
      const ids = readIdsFlag("ids", path, engine.model.vocab)
      if (flags["raw-logits"] !== undefined) writeRaw(flags["raw-logits"], engine, ids)
      if (flags.dump !== undefined)
        io.err(`${dumpTrace(flags.dump, engine, ids)} arrays in ${flags.dump}\n`)
      const isAsked =
        flags.json ||
        sources.flags.has("top-k") ||
        (flags["raw-logits"] === undefined && flags.dump === undefined)
      if (isAsked)
        printPositions(
          io,
          engine,
          ids,
          Math.min(flags["top-k"] === 0 ? DEFAULT_TOP : flags["top-k"], engine.model.vocab),
          flags.json,
        )
      return EXIT.done
    } finally {
      await engine.close()
    }
  },
})
