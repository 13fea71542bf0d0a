// Error bodies as clients of the two APIs read them.

interface OpenAiError {
  error: {
    message: string
    type: string
    param: string | null
    code: string | null
    n_prompt_tokens?: number
    n_ctx?: number
  }
}

export interface AnthropicError {
  type: string
  error: { type: string; message: string; n_prompt_tokens?: number; n_ctx?: number }
  request_id: string
}

/** The error of a response in OpenAI's shape. */
export async function errorOf(response: Response): Promise<OpenAiError["error"]> {
  return ((await response.json()) as OpenAiError).error
}
