import type { NativeEngine } from "@ds4/engine"
import type { Progress } from "@ds4/progress"
import { outputTarget, type WriteOptions } from "@ds4/model-file"
import { defineCommand } from "../command.ts"
import { EXIT, usageError } from "../errors.ts"
import type { Io } from "../io.ts"
import { loadEngine } from "../load-engine.ts"
import { compareExperts } from "../logits/compare-experts.ts"
import { compareNumerics } from "../logits/compare-numerics.ts"
import { writeDump, writeParts } from "../logits/safetensors-dump.ts"
import { engineSwitches } from "../logits/switches.ts"
import { progressOf } from "../progress-of.ts"
import { readIdsFlag } from "../read-ids.ts"

const DEFAULT_TOP = 20
/** A dump shows one step: it has room for so many tokens. */
const DUMP_STEP_TOKENS = 512

/** Tells at once what is computed: a step holds up this thread. */
function watch(progress: Progress, ids: readonly number[]): void {
  progress.begin({ label: "computing logits", unit: "tokens", total: ids.length }, true)
}

async function writeRaw(
  path: string,
  engine: NativeEngine,
  ids: readonly number[],
  options: WriteOptions,
  progress: Progress,
): Promise<void> {
  function* rows() {
    for (const { position, logits } of engine.logits(ids, { mode: "all" })) {
      yield new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)
      progress.update(position + 1)
    }
  }
  watch(progress, ids)
  const bytes = ids.length * engine.model.vocab * Float32Array.BYTES_PER_ELEMENT
  await writeParts(path, bytes, rows(), options) // x86-64 is little-endian, as the file is
}

/** One step over all ids with the trace on. */
async function dumpTrace(
  path: string,
  engine: NativeEngine,
  ids: readonly number[],
  options: WriteOptions,
): Promise<number> {
  engine.trace.enable(true)
  const session = engine.openSession(ids.length)
  try {
    engine.step([{ session, tokens: ids, rows: "ALL" }])
    const arrays = [...engine.trace.names().keys()].map((name) => ({
      name,
      values: engine.trace.read(name),
    }))
    await writeDump(path, arrays, options)
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
  progress: Progress,
): void {
  watch(progress, ids)
  if (isJson) io.out(`{"tokens":${JSON.stringify(ids)},"positions":[`)
  for (const { position, top } of engine.logits(ids, { mode: "all", topK })) {
    if (io.isOutputTerminal) progress.stop() // the rows themselves show how far it is
    progress.update(position + 1)
    if (isJson) io.out(`${position === 0 ? "" : ","}${JSON.stringify({ position, top })}`)
    else
      io.out(
        `${position} (${ids[position]}): ` +
          `${top.map(({ id, logprob }) => `${id} ${logprob.toFixed(3)}`).join(", ")}\n`,
      )
  }
  if (isJson) io.out("]}\n")
}

interface Outputs {
  readonly rawPath: string | undefined
  readonly dumpPath: string | undefined
  readonly topK: number
  readonly isTopAsked: boolean
  readonly isJson: boolean
  readonly overwrite: boolean
}

/** Writes the files that are asked for; without one, or if asked, prints the positions. */
async function write(
  io: Io,
  engine: NativeEngine,
  ids: readonly number[],
  { rawPath, dumpPath, topK, isTopAsked, isJson, overwrite }: Outputs,
): Promise<void> {
  using progress = progressOf(io)
  if (rawPath !== undefined) await writeRaw(rawPath, engine, ids, { overwrite }, progress)
  if (dumpPath !== undefined) {
    watch(progress, ids)
    const arrays = await dumpTrace(dumpPath, engine, ids, { overwrite })
    progress.stop()
    io.err(`${arrays} arrays in ${dumpPath}\n`)
  }
  const isAlone = rawPath === undefined && dumpPath === undefined
  if (isJson || isTopAsked || isAlone)
    printPositions(io, engine, ids, Math.min(topK, engine.model.vocab), isJson, progress)
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
    const { compare, ids: path } = flags
    // A mistake in the file is told before a model is loaded.
    const ids = path === undefined ? undefined : readIdsFlag("ids", path, Number.MAX_SAFE_INTEGER)
    if (compare !== undefined) {
      const asked = { io, flags, ids, isJson: flags.json, prepareNative }
      if (compare === "experts") await compareExperts(asked)
      else await compareNumerics({ ...asked, reference: compare, leaveOut: flags["leave-out"] })
      return EXIT.done
    }
    if (path === undefined) throw usageError("--ids FILE is missing: a JSON array of token ids")
    for (const output of [flags["raw-logits"], flags.dump])
      if (output !== undefined) outputTarget(output, flags.force)
    const { engine } = await loadEngine(flags, io, prepareNative, {
      switches: engineSwitches(flags["leave-out"]),
      ...(flags.dump === undefined
        ? {}
        : { maxStepTokens: Math.max(flags["prefill-chunk"] ?? 0, DUMP_STEP_TOKENS) }),
    })
    try {
      await write(io, engine, readIdsFlag("ids", path, engine.model.vocab), {
        rawPath: flags["raw-logits"],
        dumpPath: flags.dump,
        topK: flags["top-k"] === 0 ? DEFAULT_TOP : flags["top-k"],
        isTopAsked: sources.flags.has("top-k"),
        isJson: flags.json,
        overwrite: flags.force,
      })
      return EXIT.done
    } finally {
      await engine.close()
    }
  },
})
