// POST /v1/kv/save: reads what nobody has read of a prompt, and saves its state under a name.
import { firstWords, type Prompt, promptPreview } from "@ds4/chat"
import type { KvFiles } from "@ds4/engine"
import { outputLimit, resolveModelName } from "../../answer/policy.ts"
import type { PrepareContext } from "../../answer/prompt.ts"
import { randomId } from "../../answer/random-id.ts"
import { ApiError, invalid } from "../../http/api-error.ts"
import type { PreparedAnswer } from "../../serving/answer-run.ts"
import type { ServedModel } from "../../serving/serving-state.ts"
import { renderChatBody } from "../chat-completions/plan.ts"
import { readPrompt } from "../completions/plan.ts"
import { nothingKept, onFolder } from "./kv-error.ts"
import type { SaveRequest } from "./schema.ts"

interface NamedPrompt {
  readonly prompt: Prompt
  /** The field that it came from. */
  readonly param: "messages" | "prompt"
  readonly preview: string | undefined
}

/** The prompt ends with its last message: what follows depends on who goes on. */
async function namedPrompt(
  body: SaveRequest,
  model: ServedModel,
  context: PrepareContext,
): Promise<NamedPrompt> {
  const { messages, prompt: raw } = body
  if (messages !== undefined && messages !== null) {
    const ending = { add_generation_prompt: body.add_generation_prompt ?? false }
    const prompt = await renderChatBody({ ...body, messages, ...ending }, model, context)
    return { prompt, param: "messages", preview: promptPreview(prompt) }
  }
  if (raw === undefined || raw === null) throw invalid("missing messages or prompt", "messages")
  const { text, tokens } = await readPrompt({ prompt: raw, special: body.special }, model)
  const prompt = { segments: [], tokens, isThinking: false, tools: [] }
  return { prompt, param: "prompt", preview: firstWords(text) }
}

/** Removes other states of this name and model; one that cannot be removed now stays. */
async function replaceOthers(files: KvFiles, label: string, key: string): Promise<string[]> {
  const replaced: string[] = []
  try {
    for (const other of await files.list())
      if (other.label === label && other.isUsable && other.key !== key) {
        await files.remove(other.key)
        replaced.push(other.key)
      }
  } catch {
    // The state is saved; loading by name takes the newest one.
  }
  return replaced
}

async function save(files: KvFiles, label: string, { prompt, preview }: NamedPrompt) {
  const as = preview === undefined ? { label } : { label, preview }
  const result = await files.save(prompt.tokens, as)
  if (!result.saved) {
    const code = result.reason === "busy" ? "CONFLICT" : "UNAVAILABLE"
    throw new ApiError(code, `the state was not saved: ${result.message}`, {
      reason: `kv_${result.reason.replace("-", "_")}`,
    })
  }
  const replaced = await replaceOthers(files, label, result.key)
  return { key: result.key, tokens: result.tokens, bytes_written: result.bytesWritten, replaced }
}

export async function prepareSave(
  body: SaveRequest,
  model: ServedModel,
  context: PrepareContext,
): Promise<PreparedAnswer> {
  const files = model.chat.engine.kv
  if (files === undefined) throw nothingKept()
  resolveModelName(body.model, model, context.defaults)
  const { label } = body
  const named = await namedPrompt(body, model, context)
  const { prompt, param } = named
  const room = { param, shape: "openai" } as const
  const maxTokens = outputLimit(prompt.tokens.length, 0, model, context.defaults, room)
  const { keepsReasoning: keepReasoning } = context.defaults
  return {
    id: randomId("kv_"),
    plan: { prompt, options: { maxTokens, keepReasoning } },
    stream: undefined,
    whole: async (_answer, { usage }) => ({
      label,
      ...(await onFolder(() => save(files, label, named))),
      prompt_tokens: usage.promptTokens,
      cached_tokens: usage.cachedTokens,
    }),
  }
}
