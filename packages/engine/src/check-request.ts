// A request with every default filled in, or an EngineError that says which field is wrong.
import { EngineError } from "./errors.ts"
import type { JobRequest } from "./native/job.ts"
import { MAX_TOP_LOGPROBS } from "./symbols.ts"
import type { EngineModel, GenerateRequest, SamplingOptions } from "./types.ts"

const DEFAULT_SAMPLING = { temperature: 1, topP: 1, topK: 0, minP: 0.05 } as const

/** A page of the cache: marks at its multiples share whole pages, and are smallest. */
const MARK_INTERVAL = 2048

const refuse = (message: string): never => {
  throw new EngineError("ARGUMENT", message)
}

function whole(value: number, low: number, high: number, name: string): number {
  if (!Number.isInteger(value) || value < low || value > high)
    refuse(`${name} is ${value}; expected a whole number from ${low} to ${high}`)
  return value
}

function finite(value: number, name: string): number {
  if (!Number.isFinite(value)) refuse(`${name} is ${value}; expected a number`)
  return value
}

function checkIds(ids: readonly number[], vocab: number, name: string): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? -1
    if (!Number.isInteger(id) || id < 0 || id >= vocab)
      refuse(`${name}[${i}] is ${id}; this model's ids are 0..${vocab - 1}`)
  }
}

function checkBegins(begins: readonly number[], promptTokens: number): void {
  for (let i = 0, last = -1; i < begins.length; last = begins[i++] ?? -1)
    if (whole(begins[i] ?? -1, 0, promptTokens, `messageBegins[${i}]`) <= last)
      refuse(`messageBegins[${i}] is ${begins[i]} and follows ${last}; expected rising numbers`)
}

function seedOf(seed: number | bigint | undefined): bigint {
  if (seed === undefined) return crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n
  if (typeof seed === "number" && !Number.isInteger(seed))
    refuse(`seed is ${seed}; expected a whole number`)
  return BigInt.asUintN(64, BigInt(seed))
}

/**
 * @throws EngineError ARGUMENT, or CONTEXT_FULL when the prompt alone is longer than the context
 * @param eos the stop token of a request that names none
 */
export function checkRequest(
  request: GenerateRequest,
  model: Pick<EngineModel, "vocab" | "contextTokens">,
  eos: number,
): JobRequest {
  const { promptTokens, stopTokens = [eos], stopStrings = [], thinkCloseToken = -1 } = request
  if (promptTokens.length === 0) refuse("the prompt is empty; expected at least one token")
  checkIds(promptTokens, model.vocab, "promptTokens")
  checkIds(stopTokens, model.vocab, "stopTokens")
  if (thinkCloseToken !== -1) checkIds([thinkCloseToken], model.vocab, "thinkCloseToken")
  if (promptTokens.length > model.contextTokens) {
    throw new EngineError(
      "CONTEXT_FULL",
      `the prompt has ${promptTokens.length} tokens; a session holds ${model.contextTokens}, ` +
        `prompt and answer together`,
    )
  }
  checkBegins(request.messageBegins ?? [], promptTokens.length)
  for (const [i, text] of stopStrings.entries())
    if (text === "") refuse(`stopStrings[${i}] is empty`)
  const topLogprobs = whole(request.topLogprobs ?? 0, 0, MAX_TOP_LOGPROBS, "topLogprobs")
  return {
    prompt: promptTokens,
    maxTokens: Math.min(
      whole(request.maxTokens ?? model.contextTokens, 0, Number.MAX_SAFE_INTEGER, "maxTokens"),
      model.contextTokens,
    ),
    stopTokens,
    stopStrings,
    logprobs: request.logprobs === true || topLogprobs > 0,
    topLogprobs,
    toolZones: request.toolZones ?? false,
    toolNames: request.toolNames,
    reasoningBudget: whole(request.reasoningBudget ?? 0, 0, 0xffffffff, "reasoningBudget"),
    thinkCloseToken,
    markOffsets: [],
    markInterval: MARK_INTERVAL,
    sampling: checkSampling(request.sampling ?? {}),
  }
}

function checkSampling(sampling: SamplingOptions): JobRequest["sampling"] {
  return {
    temperature: finite(sampling.temperature ?? DEFAULT_SAMPLING.temperature, "temperature"),
    topP: finite(sampling.topP ?? DEFAULT_SAMPLING.topP, "topP"),
    topK: whole(sampling.topK ?? DEFAULT_SAMPLING.topK, 0, 0xffffffff, "topK"),
    minP: finite(sampling.minP ?? DEFAULT_SAMPLING.minP, "minP"),
    seed: seedOf(sampling.seed),
  }
}
