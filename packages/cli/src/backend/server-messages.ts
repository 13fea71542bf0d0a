// Bodies of the OpenAI chat interface, as this client writes them.
import type { AnswerRequest, Message, ToolDeclaration } from "@ds4/chat"

function wireMessage(message: Message): Record<string, unknown> {
  const { role, content } = message
  if (message.role === "tool") return { role, content, tool_call_id: message.toolCallId ?? "" }
  if (message.role !== "assistant") return { role, content }
  const calls = (message.toolCalls ?? []).map(({ id, ...called }) => ({
    id,
    type: "function",
    function: called,
  }))
  return {
    role,
    content,
    ...(message.reasoning === undefined ? {} : { reasoning_content: message.reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function wireTool({ definition, ...tool }: ToolDeclaration): Record<string, unknown> {
  const declared = definition === undefined ? tool : (JSON.parse(definition) as unknown)
  return { type: "function", function: declared }
}

/** A last message to go on in is marked for vLLM and SGLang, and for the vendor's API. */
function wireMessages(request: AnswerRequest): Record<string, unknown> {
  const wire = request.messages.map(wireMessage)
  if (request.continueFinal !== true)
    return request.addGenerationPrompt === false
      ? { messages: wire, add_generation_prompt: false }
      : { messages: wire }
  return {
    messages: wire.with(-1, { ...wire.at(-1), prefix: true }),
    continue_final_message: true,
    add_generation_prompt: false,
  }
}

/** The body of a streamed chat completion. Null and undefined fields are left to the server. */
export function requestBody(model: string, request: AnswerRequest): Record<string, unknown> {
  const { sampling = {}, stopStrings = [], thinking = "default", tools = [] } = request
  return {
    model,
    ...wireMessages(request),
    ...(tools.length === 0 ? {} : { tools: tools.map(wireTool) }),
    stream: true,
    stream_options: { include_usage: true },
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    ...(sampling.seed === undefined ? {} : { seed: Number(sampling.seed) }),
    ...(request.maxTokens === undefined ? {} : { max_tokens: request.maxTokens }),
    ...(stopStrings.length === 0 ? {} : { stop: stopStrings }),
    ...(thinking === "default" ? {} : { reasoning_effort: thinking === "off" ? "none" : thinking }),
  }
}
