// POST /v1/completions: raw text after BOS, no template.
import type { Segment } from "@ds4/tokenizer"
import { invalid } from "../../http/api-error.ts"
import type { PreparedAnswer } from "../../serving/answer-run.ts"
import type { ServedModel } from "../../serving/serving-state.ts"
import type { CompletionRequest } from "./schema.ts"
import { textCompletion, type TextStreamOptions, TextStreamWriter } from "./writer.ts"
import { randomId } from "../../answer/random-id.ts"
import {
  checkUnsupported,
  outputLimit,
  resolveModelName,
  samplingOf,
  stopStringsOf,
} from "../../answer/policy.ts"
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
  checkUnsupported(body)
  if (body.suffix !== undefined && body.suffix !== null)
    throw invalid("suffix is not supported; the model has no fill-in form", "suffix")
  if (body.best_of !== undefined && body.best_of !== null && body.best_of !== 1)
    throw invalid(`best_of is ${body.best_of}; only 1 is supported`, "best_of")
  const name = resolveModelName(body.model, model, context.defaults)
  const prompt = await readPrompt(body.prompt, model)
  const withLogprobs = body.logprobs !== undefined && body.logprobs !== null
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
      prompt: { segments: [], tokens: prompt.tokens, isThinking: false, toolNames: [] },
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

/** One text, one text in an array, or token ids. */
async function readPrompt(
  prompt: CompletionRequest["prompt"],
  model: ServedModel,
): Promise<RawPrompt> {
  const { tokenizer } = model.chat
  if (typeof prompt === "string") return encodeRaw(prompt, model)
  const [first, ...others] = prompt
  if (first === undefined)
    throw invalid("prompt is an empty array; expected one text or token ids", "prompt")
  if (typeof first === "string") {
    if (others.length > 0)
      throw invalid(`prompt has ${prompt.length} texts; send one request for each`, "prompt")
    return encodeRaw(first, model)
  }
  const ids = prompt.filter((each) => typeof each === "number")
  checkTokenIds(ids, tokenizer.vocab, "prompt")
  return {
    text: tokenizer.decode(ids),
    tokens: first === tokenizer.bos ? ids : [tokenizer.bos, ...ids],
  }
}

async function encodeRaw(text: string, { chat }: ServedModel): Promise<RawPrompt> {
  const { tokenizer } = chat
  const bosText = tokenizer.decode([tokenizer.bos])
  const plain = text.startsWith(bosText) ? text.slice(bosText.length) : text
  const segments: Segment[] = [
    { text: bosText, control: true },
    { text: plain, control: false },
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
