import { join } from "node:path"
import { type AnswerMemoryLimits, chatWith, ReplayLog } from "@ds4/chat"
import {
  expertOptions,
  expertsText,
  type KvDiskOptions,
  loadModel,
  type LoadProgress,
} from "@ds4/engine"
import type { Tokenizer } from "@ds4/tokenizer"
import type { ServeOptions } from "../settings.ts"
import { kvDiskOptions } from "./kv-disk.ts"
import type { ServedModel } from "./serving-state.ts"

/** Context of a session where no --ctx is given and the model allows more. */
const DEFAULT_CONTEXT_TOKENS = 32_768

/** A loaded model, and where its experts run. */
export interface LoadedModel {
  readonly model: ServedModel
  readonly experts: string
}

/**
 * Loads the model that options name, or the embedded one. Rejects when `signal` is aborted.
 *
 * @param log told of problems while the model serves
 */
export async function loadServedModel(
  options: ServeOptions,
  onLoad: (progress: LoadProgress) => void,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<LoadedModel> {
  const path = options.model === undefined || options.model === "demo" ? undefined : options.model
  const chunk = options["prefill-chunk"]
  const kvDisk = kvDiskOptions(options, log)
  const cacheMib = options["kv-host-mb"]
  const loaded = await loadModel(path, {
    backend: options.backend,
    numerics: options.numerics,
    threads: options.threads,
    isa: options.isa,
    maxSessions: options.parallel,
    maxQueue: options["max-queue"],
    contextTokens: options.ctx ?? DEFAULT_CONTEXT_TOKENS,
    experts: expertOptions(options),
    onLoad,
    signal,
    ...(chunk === undefined ? {} : { maxStepTokens: chunk }),
    ...(kvDisk === undefined ? {} : { kvDisk }),
    ...(cacheMib === undefined ? {} : { cacheBytes: cacheMib * 2 ** 20 }),
  })
  const { engine } = loaded
  const memory = servedMemory(options["tool-memory-max-ids"])
  const calls = engine.stats().kvStore && kvDisk && (await savedCalls(kvDisk, loaded.tokenizer))
  const model: ServedModel = {
    id: options["model-id"] ?? listedName(engine.model.name),
    chat: chatWith(loaded, {
      ...memory,
      toolCalls: { ...memory.toolCalls, ...(calls === undefined ? {} : { log: calls }) },
    }),
    created: Math.floor(Date.now() / 1000),
    fingerprint: `ds4-${options.numerics}`,
  }
  return { model, experts: expertsText(engine.describe()) }
}

/** The calls that earlier servers sampled, beside the states that hold them. */
async function savedCalls(
  { folder, log }: KvDiskOptions,
  tokenizer: Tokenizer,
): Promise<ReplayLog> {
  const told = log === undefined ? {} : { log }
  return await ReplayLog.open({ path: join(folder, "tool-calls.log"), tokenizer, ...told })
}

/**
 * Limits of what a served chat remembers. Answers are not: their ids would make the prompt of one
 * client depend on the answers to another.
 */
export function servedMemory(toolMemoryMaxIds: number): AnswerMemoryLimits {
  return { toolCalls: { maxIds: toolMemoryMaxIds }, answers: 0 }
}

/** A model's own name as clients write names: lower case, without spaces. */
function listedName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9._-]+/g, "-") || "model"
}
