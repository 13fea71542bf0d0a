// POST /v1/completions: raw text after BOS, no template.
import type { Segment } from "@ds4/tokenizer"
import { invalid } from "../../http/api-error.ts"
import type { PreparedAnswer } from "../../serving/answer-run.ts"
import type { ServedModel } from "../../serving/serving-state.ts"
import { refuseUnsupported } from "../../fields/refuse-unsupported.ts"
import { COMPLETION_FIELDS, type CompletionRequest } from "./schema.ts"
import { textCompletion, type TextStreamOptions, TextStreamWriter } from "./writer.ts"
import { randomId } from "../../answer/random-id.ts"
import { outputLimit, resolveModelName, samplingOf, stopStringsOf } from "../../answer/policy.ts"
import { type PrepareContext, sessionHintOf } from "../../answer/prompt.ts"

interface RawPrompt {
  text: string
  tokens: number[]
}

export async function prepareCompletion(
  body: CompletionRequest,
  headers: Headers,
  model: ServedModel,
  context: PrepareContext,
): Promise<PreparedAnswer> {
  refuseUnsupported(COMPLETION_FIELDS, body)
  const name = resolveModelName(body.model, model, context.defaults)
  const withLogprobs = body.logprobs !== undefined && body.logprobs !== null
  if (withLogprobs && body.echo === true && body.max_tokens === 0)
    throw invalid(
      "echo true with logprobs and max_tokens 0 is not supported: log-probabilities are given of " +
        "the answer, not of the prompt; leave out logprobs",
      "echo",
    )
  const prompt = await readPrompt(body, model)
  const options: TextStreamOptions = {
    includeUsage: body.stream_options?.include_usage === true,
    logprobs: withLogprobs,
    echo: body.echo === true ? prompt.text : "",
  }
  const identity = {
    id: randomId("cmpl-"),
    created: context.now(),
    model: name,
    fingerprint: model.fingerprint,
  }
  return {
    id: identity.id,
    plan: {
      prompt: { segments: [], tokens: prompt.tokens, isThinking: false, tools: [] },
      options: {
        stopStrings: stopStringsOf(body.stop),
        maxTokens: outputLimit(prompt.tokens.length, body.max_tokens, model, context.defaults, {
          param: "prompt",
          shape: "openai",
        }),
        sampling: samplingOf(body),
        topLogprobs: withLogprobs ? (body.logprobs ?? 0) : undefined,
        keepReasoning: false, // raw text: the prompt is all that the answer may depend on
        sessionHint: sessionHintOf(body, headers),
      },
    },
    stream: body.stream === true ? new TextStreamWriter(identity, options) : undefined,
    whole: (answer, outcome) => textCompletion(identity, answer, outcome, options),
  }
}

/** One text or one list of token ids, bare or in an array. */
export async function readPrompt(
  { prompt, special }: Pick<CompletionRequest, "prompt" | "special">,
  model: ServedModel,
): Promise<RawPrompt> {
  const { tokenizer } = model.chat
  const one = onePrompt(prompt)
  if (typeof one === "string") return encodeRaw(one, special !== false, model)
  checkTokenIds(one, tokenizer.vocab, "prompt")
  return {
    text: tokenizer.decode(one),
    tokens: one[0] === tokenizer.bos ? one : [tokenizer.bos, ...one],
  }
}

/** @throws ApiError for none and for several: a request has one answer */
function onePrompt(prompt: CompletionRequest["prompt"]): string | number[] {
  if (typeof prompt === "string") return prompt
  const ids = prompt.filter((each) => typeof each === "number")
  if (ids.length > 0) return ids
  const [first, ...others] = prompt.filter((each) => typeof each !== "number")
  if (first === undefined)
    throw invalid("prompt is an empty array; expected one text or token ids", "prompt")
  if (typeof first !== "string" && first.length === 0)
    throw invalid("prompt[0] has no token ids; expected at least one", "prompt[0]")
  if (others.length > 0)
    throw invalid(`prompt has ${prompt.length} prompts; send one request for each`, "prompt")
  return first
}

/** @param special control strings in the text become control tokens */
async function encodeRaw(
  text: string,
  special: boolean,
  { chat }: ServedModel,
): Promise<RawPrompt> {
  const { tokenizer } = chat
  const bosText = tokenizer.decode([tokenizer.bos])
  const plain = text.startsWith(bosText) ? text.slice(bosText.length) : text
  const segments: Segment[] = [
    { text: bosText, control: true },
    { text: plain, control: special },
  ]
  return { text, tokens: await chat.encode(segments) }
}

/** Refuses ids outside the vocabulary, naming the first. */
export function checkTokenIds(ids: readonly number[], vocab: number, param: string): void {
  const at = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocab)
  if (at >= 0)
    throw invalid(
      `${param}[${at}] is ${ids[at]}; token ids of this model are 0..${vocab - 1}`,
      `${param}[${at}]`,
    )
}
